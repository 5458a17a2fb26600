package main

import (
	"testing"

	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/transform"
)

func TestRowsByKey(t *testing.T) {
	cfg := &config.Config{Transforms: []transform.Rule{{Table: "public.t", Rename: map[string]string{"number": "id"}}}}
	for _, c := range []struct {
		wish sink.Wish
		want string
	}{
		{sink.Wish{Table: "public.t", Columns: []string{"id"}, Keys: [][]string{{"1"}, {"2"}}}, `("number") IN (('1'), ('2'))`},
		{sink.Wish{Table: "public.u", Columns: []string{"id", `o"dd`}, Keys: [][]string{{"it's", `a\b`}}}, `("id", "o""dd") IN (('it''s', E'a\\b'))`},
	} {
		if got := rowsByKey(cfg, &c.wish); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
