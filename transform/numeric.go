package transform

import (
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// numericType is PostgreSQL's numeric in expressions: exact, however many digits it has. It compares
// with numerics, ints and doubles (a double is the shortest decimal that is read as it), which stand
// on its right; ==, which CEL defines for equal types only, needs numeric('10.50').
var numericType = cel.ObjectType("numeric", traits.ComparerType, traits.AdderType, traits.SubtractorType, traits.MultiplierType)

// numeric is a decimal number, or one of PostgreSQL's special ones.
type numeric struct {
	digits *big.Int // the number without its point
	scale  int      // digits behind the point
	// special orders the numbers that are none: -1 -Infinity, 1 Infinity, 2 NaN (which PostgreSQL
	// counts as equal to itself and greater than all).
	special int
}

func numericFunctions() []cel.EnvOption {
	compare := func(op, name string) cel.EnvOption {
		var all []cel.FunctionOpt
		for _, other := range []*cel.Type{numericType, cel.IntType, cel.DoubleType} {
			all = append(all, cel.Overload(name+"_numeric_"+other.TypeName(), []*cel.Type{numericType, other}, cel.BoolType))
		}
		return cel.Function(op, all...)
	}
	combine := func(op, name string) cel.EnvOption {
		return cel.Function(op,
			cel.Overload(name+"_numeric_numeric", []*cel.Type{numericType, numericType}, numericType),
			cel.Overload(name+"_numeric_int", []*cel.Type{numericType, cel.IntType}, numericType))
	}
	return []cel.EnvOption{
		cel.Types(numericType),
		compare(operators.Less, "less"), compare(operators.LessEquals, "less_equals"),
		compare(operators.Greater, "greater"), compare(operators.GreaterEquals, "greater_equals"),
		combine(operators.Add, "add"), combine(operators.Subtract, "subtract"), combine(operators.Multiply, "multiply"),
		cel.Function("numeric",
			cel.Overload("numeric_string", []*cel.Type{cel.StringType}, numericType, cel.UnaryBinding(toNumeric)),
			cel.Overload("numeric_int", []*cel.Type{cel.IntType}, numericType, cel.UnaryBinding(toNumeric))),
		cel.Function("string", cel.Overload("numeric_to_string", []*cel.Type{numericType}, cel.StringType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return types.String(v.(numeric).String()) }))),
		cel.Function("double", cel.Overload("numeric_to_double", []*cel.Type{numericType}, cel.DoubleType,
			cel.UnaryBinding(func(v ref.Val) ref.Val { return v.(numeric).double() }))),
	}
}

func toNumeric(v ref.Val) ref.Val {
	n, err := parseNumeric(fmt.Sprint(v.Value()))
	return orError(n, err)
}

// maxDigits bounds what one number may cost: PostgreSQL's own limits are 131072 digits before the
// point and 16383 behind it.
const maxDigits = 131072 + 16383

func parseNumeric(s string) (numeric, error) {
	switch s {
	case "NaN":
		return numeric{special: 2}, nil
	case "Infinity":
		return numeric{special: 1}, nil
	case "-Infinity":
		return numeric{special: -1}, nil
	}
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits, ok := new(big.Int).SetString(whole+fraction, 10)
	if !ok || len(s) > maxDigits {
		return numeric{}, fmt.Errorf("%q is not a number", s[:min(len(s), 40)])
	}
	n := numeric{digits: digits, scale: len(fraction)}
	if exponent == "" {
		return n, nil
	}
	e, err := strconv.Atoi(exponent)
	if err != nil || e > maxDigits || e < -maxDigits {
		return numeric{}, fmt.Errorf("%q is not a number", s[:min(len(s), 40)])
	}
	n.scale -= e
	if n.scale < 0 {
		n.digits, n.scale = n.at(0), 0
	}
	return n, nil
}

// at gives the number without its point for a larger scale.
func (n numeric) at(scale int) *big.Int {
	factor := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale-n.scale)), nil)
	return factor.Mul(factor, n.digits)
}

func (n numeric) double() ref.Val {
	f, err := strconv.ParseFloat(n.String(), 64)
	return orError(types.Double(f), err)
}

// String gives PostgreSQL's text.
func (n numeric) String() string {
	switch n.special {
	case -1:
		return "-Infinity"
	case 1:
		return "Infinity"
	case 2:
		return "NaN"
	}
	s, sign := new(big.Int).Abs(n.digits).String(), ""
	if n.digits.Sign() < 0 {
		sign = "-"
	}
	if n.scale == 0 {
		return sign + s
	}
	for len(s) <= n.scale {
		s = "0" + s
	}
	return sign + s[:len(s)-n.scale] + "." + s[len(s)-n.scale:]
}

// ConvertToNative implements ref.Val; nothing asks for it.
func (n numeric) ConvertToNative(t reflect.Type) (any, error) {
	return nil, fmt.Errorf("a numeric has no form as %s", t)
}

// ConvertToType implements ref.Val.
func (n numeric) ConvertToType(t ref.Type) ref.Val {
	switch t {
	case numericType:
		return n
	case types.StringType:
		return types.String(n.String())
	case types.DoubleType:
		return n.double()
	}
	return types.NewErr("type conversion error from numeric to %s", t)
}

// Type implements ref.Val.
func (n numeric) Type() ref.Type { return numericType }

// Value implements ref.Val.
func (n numeric) Value() any { return n.String() }
