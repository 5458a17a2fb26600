package demo

import (
	"context"
	"fmt"
)

// pair is one table of both sides: the same columns under the same names, in the order of the key.
type pair struct {
	name                string
	source, destination string
}

var pairs = []pair{
	{"companies", "select code, name, country, plan from companies", "select code, name, country, plan from companies"},
	{
		"customers", "select id, name, email, company from customers",
		"select id, full_name, email, company from customers where active",
	},
	{
		"deals", "select id, company, title, amount, stage, closed_on, tags, terms from deals",
		"select id, company, title, amount, stage, closed_on, tags, terms from deals",
	},
}

// fingerprint counts rows and gives an MD5 over all their values, in the order of their text.
const fingerprint = `select count(*), coalesce(md5(string_agg(md5(t::text), '' order by t::text collate "C")), 'empty') from (%s) t`

// compare shows a fingerprint of each table on both sides.
func (st *stage) compare(ctx context.Context, s *screen) (same bool, err error) {
	s.heading("Both sides compared, every value")
	s.blank()
	same = true
	for _, p := range pairs {
		var (
			rows, there   int64
			here, arrived string
		)
		if err := st.source.QueryRow(ctx, fmt.Sprintf(fingerprint, p.source)).Scan(&rows, &here); err != nil {
			return false, fmt.Errorf("cannot compare %s at the source: %w", p.name, err)
		}
		if err := st.billing.QueryRow(ctx, fmt.Sprintf(fingerprint, p.destination)).Scan(&there, &arrived); err != nil {
			return false, fmt.Errorf("cannot compare %s at the destination: %w", p.name, err)
		}
		mark := s.paint(green, "✓")
		if here != arrived {
			mark, same = s.paint(red, "✗"), false
		}
		s.line(fmt.Sprintf("%s %-10s crm %5s rows %s   billing %5s rows %s", mark, p.name, thousands(rows), short(here), thousands(there), short(arrived)))
	}
	return same, nil
}

func short(sum string) string { return sum[:min(len(sum), 12)] }
