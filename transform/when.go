package transform

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// whenFunction declares when(condition, value): the value where the condition holds, else NULL. CEL's own
// c ? v : null is only for values that may be NULL, which results of functions may not. What is wrong with
// a value that is not asked for does not matter.
func whenFunction() cel.EnvOption {
	var all []cel.FunctionOpt
	for _, r := range results {
		all = append(all, cel.Overload("when_"+r.cel.TypeName(), []*cel.Type{cel.BoolType, r.cel}, nullable(r.cel),
			cel.BinaryBinding(when), cel.OverloadIsNonStrict()))
	}
	return cel.Function("when", all...)
}

func nullable(t *cel.Type) *cel.Type {
	if t.IsExactType(numericType) || t.IsExactType(cel.TimestampType) {
		return t
	}
	return cel.NullableType(t)
}

func when(condition, value ref.Val) ref.Val {
	switch {
	case types.IsUnknownOrError(condition):
		return condition
	case condition == types.True:
		return value
	}
	return types.NullValue
}
