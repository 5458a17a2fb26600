package capture

import (
	"context"
	"slices"
	"strings"
)

// publication carries out what is done to our publication, which locks no table against writers, and
// compares.
func (st *stage) publication(ctx context.Context, d *ddl, out *Rehearsal) error {
	ours := st.cfg.Publication
	if !slices.ContainsFunc(d.names, func(n objectName) bool { return n.schema == "" && n.name == ours }) {
		out.Notes = append(out.Notes, "capture reads from publication "+quote(ours)+", which the statement leaves alone: no record changes")
		return nil
	}
	before, err := st.source.publication(ctx, ours)
	if err != nil {
		return err
	}
	if before == nil {
		return unfit("there is no publication %s yet: capture creates it", quote(ours))
	}
	if err := st.run(ctx, d.text); err != nil {
		return err
	}
	after, err := st.source.publication(ctx, ours)
	if err != nil {
		return err
	}
	if after == nil {
		out.Faults = append(out.Faults, "capture finds its publication "+quote(ours)+" gone and makes it again: what is committed until then is in no record, a gap of the log (source.on_gap: capture stops, or repairs every table)")
		return nil
	}
	st.leaving(before, after, out)
	if !after.Complete || !after.ViaRoot || after.Narrowed && !before.Narrowed {
		out.Faults = append(out.Faults, "the publication would hold back changes, rows or columns until capture starts again and puts it right: what it holds back is in no record")
	}
	if len(out.Tables)+len(out.Faults)+len(out.Notes) == 0 {
		out.Notes = append(out.Notes, "the publication has what capture needs of it afterwards too: no record changes")
	}
	return nil
}

// leaving compares which tables are in the publication.
func (st *stage) leaving(before, after *publication, out *Rehearsal) {
	var left, astray []string
	for _, r := range st.tables {
		was, is := slices.Contains(before.Tables, r.OID), slices.Contains(after.Tables, r.OID)
		switch {
		case was && !is && st.captures(r):
			left = append(left, nameOf(r))
		case is && !was && !st.captures(r):
			astray = append(astray, nameOf(r))
		}
	}
	if len(left) > 0 {
		out.Faults = append(out.Faults, "changes of "+strings.Join(left, ", ")+" are in no record until capture puts the table back, within 10 s when it runs: it says so in status and log, and the rows must be read again")
	}
	if len(astray) > 0 {
		out.Notes = append(out.Notes, "changes of "+strings.Join(astray, ", ")+" are dropped: source.tables does not mean them")
	}
}
