// Package arrows reads the imports of the whole module and fails when one goes against the
// architecture. A rule is a sentence and a function; a broken one names the file and what it did.
package arrows

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sluicecdc/sluice/"

// root is the module's folder, seen from this one.
const root = "../.."

// file is a Go file as far as the rules look at it.
type file struct {
	path    string // from the module's root
	folder  string
	imports []string // ours without the module's name and with a leading ./
	calls   []string // pkg.Name selectors
	inits   bool
}

func (f *file) name() string { return path.Base(f.path) }
func (f *file) test() bool   { return strings.HasSuffix(f.path, "_test.go") }

// within tells whether the file lies in the folder or below it.
func (f *file) within(folders ...string) bool {
	for _, folder := range folders {
		if below(f.folder, folder) {
			return true
		}
	}
	return false
}

func below(name, folder string) bool { return name == folder || strings.HasPrefix(name, folder+"/") }

// reaches gives the first import at or below one of the given names, or "".
func (f *file) reaches(names ...string) string {
	for _, i := range f.imports {
		for _, name := range names {
			if below(i, name) {
				return i
			}
		}
	}
	return ""
}

// calling gives the first of the selectors that the file uses, or "".
func (f *file) calling(selectors ...string) string {
	for _, c := range f.calls {
		for _, s := range selectors {
			if c == s {
				return c
			}
		}
	}
	return ""
}

func parse(name string, source any) (*file, error) {
	full := filepath.Join(root, name)
	tree, err := parser.ParseFile(token.NewFileSet(), full, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &file{path: name, folder: path.Dir(name)}
	for _, i := range tree.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return nil, err
		}
		if ours, ok := strings.CutPrefix(p, module); ok {
			p = "./" + ours
		}
		f.imports = append(f.imports, p)
	}
	ast.Inspect(tree, f.note)
	return f, nil
}

func (f *file) note(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.FuncDecl:
		f.inits = f.inits || n.Recv == nil && n.Name.Name == "init"
	case *ast.SelectorExpr:
		if pkg, ok := n.X.(*ast.Ident); ok {
			f.calls = append(f.calls, pkg.Name+"."+n.Sel.Name)
		}
	}
	return true
}

// files reads every Go file of the module.
func files(t *testing.T) []*file {
	t.Helper()
	var all []*file
	err := filepath.WalkDir(root, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && p != root && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
			return fs.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		name, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		f, err := parse(filepath.ToSlash(name), nil)
		all = append(all, f)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestArrows(t *testing.T) {
	all := files(t)
	if len(all) < 20 {
		t.Fatalf("only %d Go files found below %s: the test looks in the wrong place", len(all), root)
	}
	for _, f := range all {
		for _, r := range rules() {
			if what := r.broken(f); what != "" {
				t.Errorf("%s: %s\n\t%s", f.path, what, r.sentence)
			}
		}
	}
}
