package capture

import "testing"

// Questions to the catalogue are not compiled: it takes hundreds of times as long as to answer them, and the stream waits.
func TestCatalogueQuestionsAreNotCompiled(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit TO on', current_database()); EXECUTE format('ALTER DATABASE %I SET jit_above_cost TO 0', current_database()); END $$`)
		s, err := openSource(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer s.close()
		var setting string
		if err := s.pool.QueryRow(t.Context(), "SELECT current_setting('jit') || ' above ' || current_setting('jit_above_cost')").Scan(&setting); err != nil {
			t.Fatal(err)
		}
		if setting != "off above 0" {
			t.Errorf("a session that asks the catalogue has jit %s", setting)
		}
	})
}
