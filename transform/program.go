package transform

import (
	"fmt"
	"slices"
	"strings"

	"cel.dev/cel-go/cel"
	celast "cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/sluicecdc/sluice/internal/change"
)

// program is an expression compiled for one version of a table.
type program struct {
	source  Expression
	table   *change.Table
	run     cel.Program
	inputs  []int // the columns that it looks at
	columns *activation
	out     change.Type // of the column that takes its result
}

// compileFilter compiles a condition.
func compileFilter(e Expression, t *change.Table) (*program, error) {
	p, out, err := compile(e, t)
	if err != nil {
		return nil, err
	}
	if !isBool(out) {
		return nil, e.fault(1, 0, "is of type %s in table %s: want a condition, which is true or false", out, t.QualifiedName())
	}
	return p, nil
}

func isBool(t *cel.Type) bool {
	return t.IsExactType(cel.BoolType) || t.IsExactType(cel.NullableType(cel.BoolType))
}

// compileValue compiles an expression whose result goes into a column.
func compileValue(e Expression, t *change.Table) (*program, error) {
	p, out, err := compile(e, t)
	if err != nil {
		return nil, err
	}
	var ok bool
	if p.out, ok = resultType(out); !ok {
		return nil, e.unfit(out)
	}
	return p, nil
}

func compile(e Expression, t *change.Table) (*program, *cel.Type, error) {
	env, err := environment(t)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read expressions over table %s: %w", t.QualifiedName(), err)
	}
	checked, issues := env.Compile(e.Text)
	if issues.Err() != nil {
		fault := e.first(issues)
		fault.Message += " (table " + t.QualifiedName() + " has " + strings.Join(declared(t), ", ") + ")"
		return nil, nil, fault
	}
	if fault := e.inexact(checked); fault != nil {
		return nil, nil, fault
	}
	run, err := env.Program(checked, cel.CostLimit(costLimit), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, nil, e.fault(1, 0, "cannot be compiled for table %s: %v", t.QualifiedName(), err)
	}
	p := &program{source: e, table: t, run: run, columns: newActivation(t)}
	for _, r := range checked.NativeRep().ReferenceMap() {
		if i, ok := p.columns.index[r.Name]; ok && !slices.Contains(p.inputs, i) {
			p.inputs = append(p.inputs, i)
		}
	}
	slices.Sort(p.inputs)
	return p, checked.OutputType(), nil
}

// declared lists what an expression may name.
func declared(t *change.Table) []string {
	return slices.DeleteFunc(variables(t), func(name string) bool { return name == "" })
}

// inexact refuses a number that is written with more digits than a double keeps: compared with a
// numeric it would be another number than the one that is read.
func (e *Expression) inexact(checked *cel.Ast) *ExpressionError {
	var fault *ExpressionError
	native := checked.NativeRep()
	celast.PreOrderVisit(native.Expr(), celast.NewExprVisitor(func(x celast.Expr) {
		if x.Kind() != celast.LiteralKind || x.AsLiteral().Type() != types.DoubleType || fault != nil {
			return
		}
		at := native.SourceInfo().GetStartLocation(x.ID())
		if digits := significant(e.Text, at.Line(), at.Column()); digits > doubleDigits {
			fault = e.fault(at.Line(), at.Column(), "has a number of %d digits, a double keeps %d: write numeric('...')", digits, doubleDigits)
		}
	}))
	return fault
}

// doubleDigits is how many significant decimal digits every double keeps (DBL_DIG).
const doubleDigits = 15

// significant counts the digits of the number at a place in the text.
func significant(text string, line, column int) int {
	lines := strings.Split(text, "\n")
	rest := []rune(lines[min(max(line, 1), len(lines))-1])
	digits := ""
	for _, r := range rest[min(max(column, 0), len(rest)):] {
		switch {
		case r >= '0' && r <= '9':
			digits += string(r)
		case r != '.' && r != '-':
			return len(strings.Trim(digits, "0"))
		}
	}
	return len(strings.Trim(digits, "0"))
}

// answer is what a condition says of a row.
type answer byte

const (
	no      answer = iota
	yes            // the row belongs
	unknown        // it depends on a value that is not in the row
)

// holds evaluates a condition. As in SQL, a row for which it is NULL does not belong.
func (p *program) holds(row change.Row) (answer, error) {
	v, err := p.eval(row)
	switch {
	case err != nil:
		return no, err
	case types.IsUnknown(v):
		return unknown, nil
	case v == types.True:
		return yes, nil
	}
	return no, nil
}

// eval gives the value, Null for an operation on NULL, or an Unknown.
func (p *program) eval(row change.Row) (ref.Val, error) {
	p.columns.row = row
	v, _, err := p.run.Eval(p.columns)
	p.columns.row = nil
	if err == nil {
		return v, nil
	}
	// Operations are checked against the columns' types, so what finds no overload met a NULL.
	if strings.HasPrefix(err.Error(), "no such overload") {
		return types.NullValue, nil
	}
	return nil, fmt.Errorf("expression %q cannot be evaluated for row %s of %s: %w", p.source.Text, describe(p.table, row), p.table.QualifiedName(), err)
}

// missing names the inputs that the row does not hold.
func (p *program) missing(row change.Row) *UnknownError {
	e := &UnknownError{Table: p.table.QualifiedName(), Expression: p.source}
	for _, i := range p.inputs {
		if !known(row[i]) {
			e.Columns = append(e.Columns, p.table.Columns[i].Name)
		}
	}
	return e
}

// describe names a row by its key, or by what it begins with.
func describe(t *change.Table, row change.Row) string {
	columns := t.Key
	if len(columns) == 0 {
		columns = []int{0}
	}
	var parts []string
	for _, k := range columns {
		value := "NULL"
		if row[k].Format == change.Text {
			value = strings.ToValidUTF8(string(row[k].Data[:min(len(row[k].Data), 60)]), "")
		}
		parts = append(parts, t.Columns[k].Name+"="+value)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}
