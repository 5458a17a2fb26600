package transform

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
)

// ExpressionError says what is wrong with an expression, and where in the configuration.
type ExpressionError struct {
	Expression
	// Line and Column are those of the fault in the file, from 1; 0 when the file is not known.
	Line, Column int
	// Offset is the fault's place in the text's line that Shown gives, from 0.
	Offset  int
	Shown   string
	Message string
}

// Error gives file:line:column, the message, and the expression with a caret.
func (e *ExpressionError) Error() string {
	var b strings.Builder
	if e.File != "" {
		fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	}
	fmt.Fprintf(&b, "expression %s\n  | %s\n  | %s^", e.Message, e.Shown, strings.Repeat(" ", e.Offset))
	return b.String()
}

// fault lays a message to a place in the text; line counts from 1, column from 0, as CEL does.
func (e *Expression) fault(line, column int, format string, args ...any) *ExpressionError {
	out := &ExpressionError{Expression: *e, Message: fmt.Sprintf(format, args...), Offset: max(column, 0)}
	lines := strings.Split(e.Text, "\n")
	out.Shown = lines[min(max(line, 1), len(lines))-1]
	if e.Line > 0 {
		out.Line, out.Column = e.Line+max(line, 1)-1, e.Column+out.Offset
	}
	return out
}

// first turns the first of CEL's complaints into ours; the others follow from it more often than not.
func (e *Expression) first(issues *cel.Issues) *ExpressionError {
	found := issues.Errors()
	if len(found) == 0 {
		return e.fault(1, 0, "cannot be read: %v", issues.Err())
	}
	message, _, _ := strings.Cut(found[0].Message, " expecting {") // the list is of the parser's tokens
	return e.fault(found[0].Location.Line(), found[0].Location.Column(), "cannot be read: %s%s", message, hint(message))
}

// hint says what to write instead, for refusals that a newcomer meets first.
func hint(message string) string {
	switch {
	case strings.Contains(message, "numeric") && strings.Contains(message, "_==_"), strings.Contains(message, "numeric") && strings.Contains(message, "_!=_"):
		return ": compare a numeric column with numeric('10.50')"
	case strings.Contains(message, "(int, numeric)"), strings.Contains(message, "(double, numeric)"):
		return ": write the numeric column on the left, or numeric('10.50')"
	}
	return ""
}

// UnknownError says that an expression depends on values that a change does not hold: TOASTed ones
// which an update left alone.
type UnknownError struct {
	Table      string // the source's, schema.table
	Expression Expression
	Columns    []string // whose values are needed
}

// Error says which values are missing and what cures it.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("expression %q depends on %s of %s, which the update left unchanged and the log does not hold; the cure at the source: ALTER TABLE %s REPLICA IDENTITY FULL",
		e.Expression.Text, strings.Join(e.Columns, ", "), e.Table, e.Table)
}
