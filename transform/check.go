package transform

import (
	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
)

// checkFilter checks a condition without knowing the columns.
func (e *Expression) checkFilter() *ExpressionError {
	t, err := e.checkLoose()
	if err == nil && !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return e.fault(1, 0, "is of type %s: want a condition, which is true or false", t)
	}
	return err
}

// checkValue checks an expression for a column without knowing the columns.
func (e *Expression) checkValue() *ExpressionError {
	t, err := e.checkLoose()
	if err != nil || t.IsExactType(cel.DynType) {
		return err
	}
	if _, ok := resultType(t); !ok {
		return e.unfit(t)
	}
	return nil
}

// unfit refuses a result that no column can hold.
func (e *Expression) unfit(t *cel.Type) *ExpressionError {
	if t.IsExactType(cel.NullType) {
		return e.fault(1, 0, "is of type null: want the value before null, as in id > 3 ? id : null, or when(id > 3, id)")
	}
	return e.fault(1, 0, "is of type %s, which no column can hold: want a bool, int, double, numeric, string, bytes or timestamp", t)
}

// checkLoose checks with every free name taken for a column of any type.
func (e *Expression) checkLoose() (*cel.Type, *ExpressionError) {
	env, err := base()
	if err != nil {
		return nil, e.fault(1, 0, "cannot be checked: %v", err)
	}
	parsed, issues := env.Parse(e.Text)
	if issues.Err() != nil {
		return nil, e.first(issues)
	}
	var vars []cel.EnvOption
	for name := range freeNames(parsed.NativeRep().Expr()) {
		vars = append(vars, cel.Variable(name, cel.DynType))
	}
	if env, err = env.Extend(vars...); err != nil {
		return nil, e.fault(1, 0, "cannot be checked: %v", err)
	}
	checked, issues := env.Check(parsed)
	if issues.Err() != nil {
		return nil, e.first(issues)
	}
	return checked.OutputType(), nil
}

// freeNames gives the names that an expression uses, those of its own loops included: a column of the
// same name is hidden there, and declaring it does no harm.
func freeNames(root celast.Expr) map[string]bool {
	names := map[string]bool{}
	celast.PreOrderVisit(root, celast.NewExprVisitor(func(x celast.Expr) {
		if x.Kind() == celast.IdentKind {
			names[x.AsIdent()] = true
		}
	}))
	return names
}
