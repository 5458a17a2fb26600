package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// Load reads, expands, decodes and validates a file. Its error holds one *Error for each fault, with
// file, line, column and excerpt (errors.Join).
func Load(path string, env Env) (*Config, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("it has %d bytes, more than the %d that a configuration may have", info.Size(), maxFile)
	}
	var src []byte
	if err == nil {
		src, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, &Error{File: path, Message: fmt.Sprintf("cannot read the configuration: %v; name another file with -c", err)}
	}
	return Parse(path, src, env)
}

// Parse is Load of a file's content.
func Parse(file string, src []byte, env Env) (*Config, error) {
	if len(src) > maxFile {
		return nil, &Error{File: file, Message: fmt.Sprintf("the configuration has more than %d bytes", maxFile)}
	}
	f := newFaults(file, src)
	d := newDecoder(f, env)
	root := parse(f, src)
	if len(f.list) > 0 {
		return nil, f.err()
	}
	d.expandAll(root)
	cfg := Default()
	d.value(root, reflect.ValueOf(cfg).Elem(), "", 0)
	if len(f.list) == 0 {
		cfg.complete()
		cfg.locate(file)
		for _, fault := range cfg.faults() {
			f.add(d.place(fault.path), "%s", fault.message)
		}
	}
	if len(f.list) > 0 {
		return nil, f.err()
	}
	return cfg, nil
}

// parse gives the body of the file's one document.
func parse(f *faults, src []byte) (root ast.Node) {
	// The library's scanner indexes into its input; a file that it trips over is a bad file.
	defer func() {
		if p := recover(); p != nil {
			f.add(nil, "this is not YAML")
		}
	}()
	file, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		f.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range file.Docs {
		if doc.Body != nil {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		f.add(nil, "the file holds no settings: start with \"sluice demo\" to see one, or read the README")
	case 1:
		return bodies[0]
	default:
		f.add(placeOf(bodies[1]), "a second document begins here: a configuration is one")
	}
	return nil
}

// syntax turns the parser's error into ours.
func (f *faults) syntax(err error) {
	placed := yaml.Error(nil)
	if !errors.As(err, &placed) {
		f.add(nil, "this is not YAML: %s", Redact(err.Error()))
		return
	}
	at, hint := placed.GetToken(), ""
	if at != nil && at.Position.Line <= len(f.lines) {
		// Inside {...} and [...] a plain value ends at a brace.
		if line := f.lines[max(at.Position.Line, 1)-1]; strings.Contains(line, "${") && strings.ContainsAny(strings.ReplaceAll(line, "${", ""), "{[") {
			hint = "; inside {} and [] a variable needs quotes: \"${NAME}\""
		}
	}
	f.add(at, "this is not YAML: %s%s", Redact(placed.GetMessage()), hint)
}

// expandAll expands the variables in every value; keys stay as they are.
func (d *decoder) expandAll(n ast.Node) {
	ast.Walk(expander{d}, n)
}

type expander struct{ d *decoder }

// Visit implements ast.Visitor.
func (e expander) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.MappingNode:
		for _, pair := range n.Values {
			ast.Walk(e, pair.Value)
		}
		return nil
	case *ast.MappingValueNode:
		ast.Walk(e, n.Value)
		return nil
	case *ast.StringNode:
		e.expand(n)
	case *ast.LiteralNode:
		e.expand(n.Value)
		return nil
	}
	return e
}

func (e expander) expand(n *ast.StringNode) {
	v, err := expand(n.Value, e.d.env)
	if err != nil {
		e.d.faults.add(placeOf(n), "%s", err)
	}
	if v == n.Value {
		return
	}
	n.Value = v
	if !isText(n) {
		e.d.expanded[n] = true
	}
	// Quoted, so that a type which is handed the YAML text reads one value too.
	quoted := *n.Token
	quoted.Type = token.DoubleQuoteType
	n.Token = &quoted
}

// place finds where a key was written; for one that is absent, where its nearest parent was.
func (d *decoder) place(path string) *token.Token {
	for path != "" {
		if at, ok := d.at[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return nil
}
