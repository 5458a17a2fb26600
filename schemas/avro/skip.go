package avro

import "github.com/sluicecdc/sluice/schemas"

// maxDepth bounds the nesting of what is passed over: a schema may refer to itself.
const maxDepth = 64

// skip passes over a value that nobody asked for: a field that a later writer added.
func (r *reader) skip(n *schemas.Node, depth int) {
	if depth > maxDepth {
		r.fail(errDepth)
	}
	if r.err != nil {
		return
	}
	switch n.Type {
	case "boolean":
		r.take(1)
	case "int", "long", "enum":
		r.long()
	case "float":
		r.take(4)
	case "double":
		r.take(8)
	case "bytes", "string":
		r.bytes()
	case "fixed":
		r.take(int64(n.Size))
	case "union":
		if b := r.branch(n); b != nil {
			r.skip(b, depth+1)
		}
	case "record":
		for i := range n.Fields {
			r.skip(n.Fields[i].Type, depth+1)
		}
	case "array", "map":
		r.skipList(n, depth)
	}
}

func (r *reader) branch(n *schemas.Node) *schemas.Node {
	i := r.long()
	if i < 0 || i >= int64(len(n.Branches)) {
		r.fail(errBranch)
		return nil
	}
	return n.Branches[i]
}

func (r *reader) skipList(n *schemas.Node, depth int) {
	for k := r.count(); k > 0; k = r.count() {
		for ; k > 0 && r.err == nil; k-- {
			if n.Type == "map" {
				r.bytes()
			}
			r.skip(n.Items, depth+1)
		}
	}
}
