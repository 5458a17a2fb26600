package http

import "github.com/sluicecdc/sluice/internal/change"

// memory is what was called of a unit that is not done yet.
type memory struct {
	// replay is the wish by which parked changes are called; empty for others.
	replay string
	made   map[string]bool           // idempotency keys of the calls that were answered as done
	newest map[rowID]change.Position // of these calls, by row
}

func newMemory(replay string) *memory {
	return &memory{replay: replay, made: map[string]bool{}, newest: map[rowID]change.Position{}}
}

// note keeps that a call was answered as done.
func (m *memory) note(st *step) {
	m.made[st.id] = true
	if st.kind != kindClear && st.at.Compare(m.newest[st.of]) > 0 {
		m.newest[st.of] = st.at
	}
}

// knows tells whether a call is not to be made: it was, or the row's call was with a later state, which is parked by now
// because another destination of the change refuses it. An older state must not come behind.
func (m *memory) knows(st *step) bool {
	return m.made[st.id] || st.kind != kindClear && st.at.Compare(m.newest[st.of]) < 0
}

func (m *memory) forget() {
	clear(m.made)
	clear(m.newest)
}
