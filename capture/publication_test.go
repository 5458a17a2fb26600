package capture

import "testing"

// A start makes the publication hold what source.tables means, and leaves a table in it that was created
// and published after the tables were listed.
func TestPublicationKeepsTablesMadeMeanwhile(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE SCHEMA other; CREATE TABLE other.c (id int PRIMARY KEY);
			CREATE PUBLICATION p FOR TABLE a, other.c`)
		s, err := openSource(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		all, err := s.relations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		chosen, err := choose(all, cfg.Tables)
		if err != nil {
			t.Fatal(err)
		}
		d.run(`CREATE TABLE made (id int PRIMARY KEY); ALTER PUBLICATION p ADD TABLE made`)
		for range 2 {
			if err := s.ensurePublication(t.Context(), "p", all, chosen); err != nil {
				t.Fatal(err)
			}
			if got := d.ask(`SELECT string_agg(prrelid::regclass::text, ' ' ORDER BY prrelid::regclass::text) FROM pg_publication_rel`); got != "a b made" {
				t.Errorf("the publication holds %s", got)
			}
		}
		d.run(`DROP TABLE b; ALTER PUBLICATION p DROP TABLE a`)
		if err := s.ensurePublication(t.Context(), "p", all, chosen); err == nil || !temporary(err) {
			t.Errorf("a table that was dropped meanwhile gives %v, want to be asked again", err)
		}
	})
}
