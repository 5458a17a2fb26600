package http

// Kill ends the process's hold of the sink as a death does: nobody is told.
func (s *Sink) Kill() { s.ledger.abandon() }

// Freeze stops signs of life, as if the process did not run.
func (s *Sink) Freeze() {
	s.ledger.mu.Lock()
	defer s.ledger.mu.Unlock()
	s.ledger.silent = true
}
