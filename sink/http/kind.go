package http

// kind is what a call does to a row.
type kind string

// The kinds, as the configuration names them.
const (
	kindUpsert kind = "upsert"
	kindCreate kind = "create"
	kindUpdate kind = "update"
	kindPatch  kind = "patch"
	kindDelete kind = "delete"
	kindClear  kind = "clear"
	// kindLookup changes nothing, and is none of kinds.
	kindLookup kind = "lookup"
)

var kinds = []kind{kindUpsert, kindCreate, kindUpdate, kindPatch, kindDelete, kindClear}

// call gives the configured call of a kind; nil when there is none.
func (o *Table) call(k kind) *Call {
	return map[kind]*Call{
		kindUpsert: o.Upsert, kindCreate: o.Create, kindUpdate: o.Update, kindPatch: o.Patch, kindDelete: o.Delete, kindClear: o.Clear,
	}[k]
}
