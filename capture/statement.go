package capture

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
)

// statement is a message of the event trigger: a table as a statement left it, or one that a statement is
// about to rewrite. It stands in the log where the statement does.
type statement struct {
	Rewritten uint32 `json:"rewritten"`
	Reason    int    `json:"reason"`

	OID      uint32      `json:"oid"`
	Schema   string      `json:"schema"`
	Name     string      `json:"name"`
	Identity string      `json:"identity"`
	Born     bool        `json:"born"`  // it is new, without rows, and published from here on
	Using    bool        `json:"using"` // it may compute values by an expression of its own
	Storage  string      `json:"storage"`
	Columns  []attribute `json:"columns"`
	Types    []typeFact  `json:"types"`
	Terms    []term      `json:"terms"`
}

// retyped is the bit of a rewrite's reason that stands for columns of another type
// (AT_REWRITE_COLUMN_REWRITE in PostgreSQL's event_trigger.h).
const retyped = 4

func parseStatement(content []byte) (*statement, error) {
	var s statement
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fatal(fmt.Errorf("cannot read the event trigger's message about a schema change: %w", err))
	}
	return &s, nil
}

// onStatement takes a message of the event trigger at lsn.
func (d *decoder) onStatement(ctx context.Context, lsn change.LSN, content []byte) error {
	if d.cfg.DDL != DDLTrigger {
		return nil // somebody's who has turned it off since
	}
	st, err := parseStatement(content)
	if err != nil {
		return err
	}
	if st.Rewritten != 0 {
		d.rewrites[st.Rewritten] |= st.Reason
		return nil
	}
	if st.Born {
		if err := d.copies.complete(ctx, snapshot.Table{Table: &change.Table{OID: st.OID, Schema: st.Schema, Name: st.Name}}); err != nil {
			return err
		}
	}
	reason := d.rewrites[st.OID]
	delete(d.rewrites, st.OID)
	d.statement()
	return d.shapes.follow(ctx, lsn, st, reason)
}

// relation is the message that the log will have before the table's next change.
func (st *statement) relation(generated bool) *pgoutput.Relation {
	m := &pgoutput.Relation{OID: st.OID, Schema: st.Schema, Name: st.Name, Identity: change.Identity(st.Identity[0])}
	for _, a := range st.Columns {
		if a.Dropped || a.Generated == "v" || a.Generated == "s" && !generated {
			continue
		}
		key := a.Key && st.Identity == "d" || a.Identity && st.Identity == "i" || st.Identity == "f"
		m.Columns = append(m.Columns, pgoutput.RelationColumn{Name: a.Name, Type: a.Type, Mod: a.Mod, Key: key})
	}
	return m
}

// follow notes the version of a table that a statement made. It is exact: nothing of it is asked for.
func (s *shapes) follow(ctx context.Context, lsn change.LSN, st *statement, reason int) error {
	known := s.byOID[st.OID] != nil
	if !known && !s.captured(&change.Table{Schema: st.Schema, Name: st.Name}) || len(st.Identity) != 1 {
		return nil
	}
	before, passed, err := s.history.at(st.OID, lsn)
	if err != nil || passed || before != nil && before.From == lsn {
		return err // it comes again
	}
	m := st.relation(s.catalogue.source.logsGenerated())
	told := &catalogue{source: s.catalogue.source, told: st.Types, terms: st.Terms, left: s.catalogue.left}
	t, _, err := told.describeBy(ctx, m, before, told.source.markUnlogged(st.Columns), false)
	if err != nil {
		return err
	}
	v := version{From: lsn, Columns: m.Columns, Table: t, Storage: st.Storage, Exact: true}
	recomputed := st.mark(&v, before, reason)
	if before != nil && !recomputed && sameShape(before.Table, t) && slices.Equal(before.Columns, m.Columns) {
		before.Storage, before.Exact = st.Storage, true
		return nil
	}
	if v, err = s.history.add(ctx, v); err == nil {
		s.announce(v)
	}
	return err
}

// mark marks the columns whose values in earlier rows are in no record, and tells whether this statement
// made one such.
func (st *statement) mark(v, before *version, reason int) (made bool) {
	if before == nil {
		return false
	}
	var retypes []int
	for i := range v.Table.Columns {
		col := &v.Table.Columns[i]
		was := before.find(col.Attnum)
		k := slices.IndexFunc(st.Columns, func(a attribute) bool { return a.Number == col.Attnum })
		switch {
		case was < 0 && (reason != 0 || col.Expression != nil) && col.Missing == nil && k >= 0 && st.Columns[k].Filled:
			col.Untold, made = v.From, true
		case was >= 0:
			col.Untold = before.Table.Columns[was].Untold
			if w := before.Table.Columns[was].Type; w.OID != col.Type.OID || w.Mod != col.Type.Mod {
				retypes = append(retypes, i)
			}
		}
	}
	if reason&retyped == 0 || !st.Using {
		return made
	}
	if len(retypes) == 0 { // an expression for a column that keeps its type: the log does not say which
		for i := range v.Table.Columns {
			if !v.Table.IsKey(i) {
				retypes = append(retypes, i)
			}
		}
	}
	for _, i := range retypes {
		v.Table.Columns[i].Untold = v.From
	}
	return true
}
