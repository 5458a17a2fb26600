package capture

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/capture/snapshot"
	"github.com/sluicecdc/sluice/internal/change"
)

// reread is a row of which not all has travelled that is wanted: an update left a TOASTed value alone, and the
// old row is not in the log. Wanted are generated columns that are computed from such values, and the values
// themselves while the table is copied. They are read by the key. What is read belongs to this change or to
// a later one of the row, which comes later in the log, too.
type reread struct {
	shape   *shape
	columns []int           // of the table
	into    []*change.Value // one for each
	row     change.Row      // of the log
	old     []change.Value  // generated columns of the row, for the key
	xid     uint32
	found   bool
	// logged are the columns that have travelled, with their places in row, when only a row in this version is wanted.
	logged []place
}

// place is where a row of the log has a column of the table.
type place struct{ column, at int }

// read answers a.rereads, after a.asks: computed columns may be part of the key.
func (a *ahead) read(ctx context.Context) error {
	if len(a.rereads) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	xids := make([]uint32, len(a.rereads))
	for i := range a.rereads {
		xids[i] = a.rereads[i].xid
	}
	if err := a.shapes.catalogue.visible(ctx, xids...); err != nil {
		return err
	}
	var asks []ask
	var asked []*reread
	targets := map[string]*question{}
	for i := range a.rereads {
		r := &a.rereads[i]
		q, err := a.target(ctx, r, targets)
		if err != nil {
			return err
		}
		if q != nil {
			asks, asked = append(asks, r.ask(q)), append(asked, r)
		}
	}
	if err := a.answerToday(ctx, asks); err != nil {
		return err
	}
	for i, r := range asked {
		if err := a.settle(r, asks[i].into); err != nil {
			return err
		}
	}
	a.tellUnread()
	return nil
}

// settle takes an answer: whether the row is there, its values and, for one version, whether it is that.
func (a *ahead) settle(r *reread, answer []change.Value) error {
	there, values := string(answer[0].Data) == "t", answer[1:1+len(r.into)]
	if version := answer[1+len(r.into):]; len(version) > 0 && !(there && r.is(version[1:])) {
		at, err := change.ParseLSN(string(version[0].Data))
		if err != nil {
			return err
		}
		if again := a.lacking(r.shape.table.OID, at); again {
			return nil
		}
	}
	if !there {
		return nil
	}
	for i := range r.into {
		*r.into[i] = values[i]
	}
	r.found = true
	return nil
}

// is tells whether a row that was read is as the change has left it: all that has travelled is the same. Who wrote it does
// not tell, since a transaction may write a row again.
func (r *reread) is(logged []change.Value) bool {
	for n, p := range r.logged {
		was, is := r.row[p.at], logged[n]
		if (was.Format == change.Null) != (is.Format == change.Null) || was.Format == is.Format && !bytes.Equal(was.Data, is.Data) {
			return false
		}
	}
	return true
}

// tellUnread names the tables with rows that were not found and whose values are not unchanged either.
func (a *ahead) tellUnread() {
	type what struct {
		table   *change.Table
		columns string
	}
	rows := map[what]int{}
	for _, r := range a.rereads {
		if !r.found && slices.ContainsFunc(r.into, func(v *change.Value) bool { return v.Format == change.Null }) {
			rows[what{r.shape.table, r.names()}]++
		}
	}
	for w, n := range rows {
		a.unread(w.table, w.columns, n)
	}
}

// answerToday asks; a table that has changed since its columns were asked for is as good as gone.
func (a *ahead) answerToday(ctx context.Context, asks []ask) error {
	err := a.answer(ctx, asks)
	if state := sqlState(err); strings.HasPrefix(state, "42") && state != stateNoPrivilege {
		return nil
	}
	return err
}

func (r *reread) ask(q *question) ask {
	k := ask{shape: r.shape, q: q, into: make([]change.Value, len(q.columns))}
	row := slices.Clone(r.row)
	if r.shape.compute != nil {
		r.shape.compute.spread(&row, r.old)
	}
	for _, i := range r.shape.table.Key {
		k.param(row[i])
	}
	return k
}

// target gives the question for a row of today's table, nil when it has the key or the columns no more.
func (a *ahead) target(ctx context.Context, r *reread, known map[string]*question) (*question, error) {
	t := r.shape.table
	id := fmt.Sprint(t.OID, r.columns, len(r.logged))
	if q, asked := known[id]; asked {
		return q, nil
	}
	all, err := a.shapes.catalogue.attributes(ctx, t.OID)
	if err != nil {
		return nil, err
	}
	from, err := a.source.nameOf(ctx, t.OID)
	if err != nil {
		return nil, err
	}
	names, err := a.names(ctx, r, all)
	if err == nil {
		known[id] = r.question(from, names)
	}
	return known[id], err
}

// names gives today's names of a table's columns by their numbers, without those to be read that are of
// another type by now.
func (a *ahead) names(ctx context.Context, r *reread, all []attribute) (map[int16]string, error) {
	names := map[int16]string{}
	for _, k := range all {
		if !k.Dropped {
			names[k.Number] = quote(k.Name)
		}
	}
	for _, i := range r.columns {
		col := &r.shape.table.Columns[i]
		for _, k := range all {
			if k.Number != col.Attnum {
				continue
			}
			if typ, err := a.shapes.catalogue.typeOf(ctx, k.Type, k.Mod); err != nil {
				return nil, err
			} else if typ.Name != col.Type.Name {
				delete(names, k.Number)
			}
		}
	}
	return names, nil
}

// names lists the columns for people.
func (r *reread) names() string {
	names := make([]string, len(r.columns))
	for n, i := range r.columns {
		names[n] = r.shape.table.Columns[i].Name
	}
	return strings.Join(names, ", ")
}

// nameOf gives a table's present name in a FROM clause, empty when it is gone.
func (s *source) nameOf(ctx context.Context, oid uint32) (string, error) {
	const q = `SELECT CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END || format('%I.%I', n.nspname, c.relname)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1`
	rows, err := s.ask.Query(ctx, q, oid)
	if err != nil {
		return "", fmt.Errorf("cannot ask for the name of table %d: %w", oid, err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", fmt.Errorf("cannot ask for the name of table %d: %w", oid, err)
	}
	return strings.Join(names, ""), nil
}

// loggedFormat is the format in which the log has the values of a column, of which v is one.
func loggedFormat(v change.Value, t change.Type) int16 {
	switch v.Format {
	case change.Binary:
		return 1
	case change.Text:
		return 0
	}
	return wireFormat(t)
}

// question asks for the row of a key in today's table, whose columns may have other names by now. It is
// nil when the table or one of them is gone.
func (r *reread) question(from string, names map[int16]string) *question {
	t := r.shape.table
	q := &question{names: r.names(), formats: make([]int16, 1)}
	values, there := []string{"r.tableoid IS NOT NULL"}, from != "" && len(t.Key) > 0
	for _, i := range r.columns {
		col := &t.Columns[i]
		there = there && names[col.Attnum] != ""
		values = append(values, "r."+names[col.Attnum])
		q.formats = append(q.formats, wireFormat(col.Type))
	}
	if r.logged != nil {
		values, q.formats = append(values, "("+snapshot.PositionSQL+")::text"), append(q.formats, 0)
	}
	for _, p := range r.logged {
		there = there && names[t.Columns[p.column].Attnum] != ""
		values = append(values, "r."+names[t.Columns[p.column].Attnum])
		q.formats = append(q.formats, loggedFormat(r.row[p.at], t.Columns[p.column].Type))
	}
	var on []string
	for n, i := range t.Key {
		there = there && names[t.Columns[i].Attnum] != ""
		on = append(on, fmt.Sprintf("r.%s = $%d::%s", names[t.Columns[i].Attnum], n+1, t.Columns[i].Type.Name))
	}
	if !there {
		return nil
	}
	for i := range values {
		q.columns = append(q.columns, i)
	}
	q.sql = "SELECT " + strings.Join(values, ", ") +
		" FROM (SELECT) one LEFT JOIN " + from + " r ON " + strings.Join(on, " AND ")
	return q
}
