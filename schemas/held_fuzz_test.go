package schemas

import "testing"

// FuzzNotice: whatever stands in the held topic is a notice of a table, or an error.
func FuzzNotice(f *testing.F) {
	f.Add([]byte(`{"table":"public.t","reason":"r","commit":7}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if n, err := ParseNotice(value); err == nil && n.Table == "" {
			t.Errorf("%+v", n)
		}
	})
}
