package verify

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/integration/harness"
	"github.com/sluicecdc/sluice/internal/change"
)

// oneRow is an API, and what is parked of it, for a table of one row: what each question is answered, of which the last is
// repeated. t is yes and f no; with u the row has been updated at the source before the answer.
type oneRow struct {
	t             *testing.T
	source        *pgx.Conn
	looks, parked string
}

func (o *oneRow) answer(script *string) bool {
	now := (*script)[0]
	if len(*script) > 1 {
		*script = (*script)[1:]
	}
	if now == 'u' {
		if _, err := o.source.Exec(o.t.Context(), "update t set v = v || '.'"); err != nil {
			o.t.Error(err)
		}
	}
	return now == 't'
}

// Progress implements API.
func (o *oneRow) Progress(context.Context) (at change.LSN, complete bool, err error) {
	return math.MaxInt64, true, nil
}

// Look implements API.
func (o *oneRow) Look(_ context.Context, _ *change.Table, rows []change.Row) (there []bool, differ [][]string, err error) {
	return []bool{o.answer(&o.looks)}, make([][]string, len(rows)), nil
}

func (o *oneRow) lot(context.Context) (*Lot, error) {
	l := &Lot{Columns: []int{0}}
	if o.answer(&o.parked) {
		l.Keys = [][]string{{"1"}}
	}
	return l, nil
}

// What an API lacks is drift only when it is parked neither before the API was asked nor behind that. The first look makes the row
// a suspect; each round asks what is parked, looks, and asks what is parked.
func TestParkedAtAnAPI(t *testing.T) {
	dsn := harness.SharedPostgres(t, 15).NewDatabase()
	source, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = source.Close(context.Background()) })
	if _, err := source.Exec(t.Context(), "create table t (id int primary key, v text); insert into t values (1, 'v')"); err != nil {
		t.Fatal(err)
	}
	table := &change.Table{Schema: "public", Name: "t", Key: []int{0}, Columns: []change.Column{
		{Name: "id", Attnum: 1, Type: change.Type{OID: 23, Mod: -1, Name: "integer", Kind: change.Int4}},
		{Name: "v", Attnum: 2, Type: change.Type{OID: 25, Mod: -1, Name: "text", Kind: change.TextLike}},
	}}
	for name, c := range map[string]struct{ looks, parked, want string }{
		"all the time":                     {"ff", "tt", "missing 0, parked 1"},
		"never":                            {"ff", "ff", "missing 1, parked 0"},
		"parked meanwhile":                 {"ff", "ft", "missing 0, parked 1"},
		"replayed meanwhile":               {"fft", "tff", "missing 0, parked 0"},
		"dropped meanwhile":                {"fff", "tff", "missing 1, parked 0"},
		"replayed and parked again":        {"fff", "tftt", "missing 0, parked 1"},
		"updated meanwhile, and called":    {"fut", "ff", "missing 0, parked 0"},
		"updated meanwhile, and parked":    {"fuf", "ffft", "missing 0, parked 1"},
		"parked, and at the API as it was": {"ft", "tt", "missing 0, parked 0"},
	} {
		t.Run(name, func(t *testing.T) {
			o := &oneRow{t, source, c.looks, c.parked}
			v, err := Open(t.Context(), Options{Sink: "billing", Source: "crm", SourceDSN: dsn, API: o, Settings: change.SessionSettings, Patience: time.Minute, Keep: 1,
				Log: slog.New(slog.DiscardHandler), Shift: func(context.Context) (change.LSN, error) { return 0, nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer v.Close()
			r, err := v.Compare(t.Context(), func(context.Context) (*Table, error) {
				return &Table{From: table, Schema: "public", Name: "t", Parked: o.lot}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("missing %d, parked %d", r.Missing, r.Parked); got != c.want || r.Extra+r.Different+r.Undecided > 0 {
				t.Errorf("%s, %+v, want %s", got, r, c.want)
			}
		})
	}
}
