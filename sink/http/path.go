package http

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicecdc/sluice/internal/change"
)

// Path is what follows a sink's URL: text with {column} for values of the row that is sent. A value is escaped for
// its place, before or behind the ?.
type Path struct {
	Text string
	// File, Line and Column say where its first character was written; Line is 0 when nobody knows.
	File         string
	Line, Column int

	pieces []piece
}

// piece is literal text, or where column is set, the place of a value.
type piece struct {
	text   string
	column string
	query  bool
	offset int // in Path.Text
}

// NewPath is UnmarshalYAML for callers that have no file.
func NewPath(text string) (Path, error) {
	p := Path{Text: text}
	_, err := p.parse()
	return p, err
}

// UnmarshalYAML reads the text and finds the columns in it. Its error carries the place in the file.
func (p *Path) UnmarshalYAML(n ast.Node) error {
	s, ok := n.(*ast.StringNode)
	if !ok {
		return &yaml.SyntaxError{Message: "want a path such as /customers/{id}", Token: n.GetToken()}
	}
	*p = Path{Text: s.Value}
	if at := n.GetToken(); at != nil && at.Position != nil {
		p.Line, p.Column = at.Position.Line, at.Position.Column
		if strings.HasPrefix(strings.TrimLeft(at.Origin, " \n"), `"`) || strings.HasPrefix(strings.TrimLeft(at.Origin, " \n"), "'") {
			p.Column++
		}
	}
	if _, err := p.parse(); err != nil {
		return &yaml.SyntaxError{Message: err.Error(), Token: n.GetToken()}
	}
	return nil
}

// MarshalYAML gives the text.
func (p Path) MarshalYAML() (any, error) { return p.Text, nil }

// parse cuts the text into pieces.
func (p *Path) parse() ([]piece, error) {
	if !strings.HasPrefix(p.Text, "/") {
		return nil, fmt.Errorf("%q does not begin with /: it follows the sink's url", p.Text)
	}
	p.pieces = nil
	query := false
	for rest, offset := p.Text, 0; rest != ""; {
		open := strings.IndexByte(rest, '{')
		literal := rest
		if open >= 0 {
			literal = rest[:open]
		}
		if err := checkLiteral(literal); err != nil {
			return nil, err
		}
		query = query || strings.Contains(literal, "?")
		if literal != "" {
			p.pieces = append(p.pieces, piece{text: literal, offset: offset})
		}
		if open < 0 {
			break
		}
		name, after, ok := strings.Cut(rest[open+1:], "}")
		if !ok || name == "" {
			return nil, fmt.Errorf("%q has a { that is not followed by a column and }", p.Text)
		}
		p.pieces = append(p.pieces, piece{column: name, query: query, offset: offset + open})
		offset += open + len(name) + 2
		rest = after
	}
	return p.pieces, nil
}

// checkLiteral refuses what an address cannot hold as it stands.
func checkLiteral(text string) error {
	if i := strings.IndexFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`}#"<>\^`+"`|", r) }); i >= 0 {
		return fmt.Errorf("%q cannot stand in a path: write it percent-encoded (RFC 3986)", text[i:i+1])
	}
	return nil
}

// fault points at a piece.
func (p *Path) fault(at *piece, format string, args ...any) error {
	return &PlaceError{File: p.File, Line: p.Line, Column: p.Column + at.offset, Shown: p.Text, Offset: at.offset, Message: fmt.Sprintf(format, args...)}
}

// PlaceError says what is wrong with a path or body, and where in the configuration.
type PlaceError struct {
	File         string
	Line, Column int // from 1; 0 when the file is not known
	Shown        string
	Offset       int // of the fault in Shown
	Message      string
}

// Error gives file:line:column, the message, and the text with a caret.
func (e *PlaceError) Error() string {
	place := ""
	if e.File != "" && e.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d: ", e.File, e.Line, e.Column)
	}
	return fmt.Sprintf("%s%s\n  | %s\n  | %s^", place, e.Message, e.Shown, strings.Repeat(" ", e.Offset))
}

// pathTemplate is a Path for one version of a table.
type pathTemplate struct {
	pieces []boundPiece
}

type boundPiece struct {
	piece
	index int // of the column; -1 for literal text
}

// bind finds the columns. may tells which of them a call of this kind knows.
func (p *Path) bind(c *columns, may func(i int) error) (pathTemplate, error) {
	var t pathTemplate
	for i := range p.pieces {
		at := &p.pieces[i]
		b := boundPiece{piece: *at, index: -1}
		if at.column != "" {
			if b.index = c.find(at.column); b.index < 0 {
				return t, p.fault(at, "%s is no column of %s: it has %s", at.column, c.table, c.names())
			}
			if err := may(b.index); err != nil {
				return t, p.fault(at, "%v", err)
			}
		}
		t.pieces = append(t.pieces, b)
	}
	return t, nil
}

// render gives the path for a row. A value that would lead elsewhere is refused: an empty one makes of /customers/{id}
// the address of all customers, and servers resolve . and .. as in a folder.
func (t *pathTemplate) render(c *columns, row change.Row) (string, error) {
	var b strings.Builder
	for _, p := range t.pieces {
		if p.index < 0 {
			b.WriteString(p.text)
			continue
		}
		v := row[p.index]
		switch {
		case v.Format != change.Text:
			return "", fmt.Errorf("column %s is NULL, and the path of the call needs its value", c.all[p.index].Name)
		case p.query:
			b.WriteString(url.QueryEscape(string(v.Data)))
		default:
			b.WriteString(url.PathEscape(string(v.Data)))
		}
	}
	out := b.String()
	return out, t.check(c, row, out)
}

func (t *pathTemplate) check(c *columns, row change.Row, path string) error {
	path, _, _ = strings.Cut(path, "?")
	for _, p := range t.pieces {
		if p.index >= 0 && !p.query && len(row[p.index].Data) == 0 {
			return fmt.Errorf("column %s is empty, and the path %s of the call would be that of another resource", c.all[p.index].Name, path)
		}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return fmt.Errorf("the path %s of the call has the part %s, which servers resolve as in a folder: it would be that of another resource", path, segment)
		}
	}
	return nil
}
