package demo

import (
	"context"
	"errors"
)

// invite says what the reader can do while it runs.
func (st *stage) invite(s *screen, program string) {
	s.heading("It goes on running: try it")
	s.blank()
	s.fact("change", "psql '"+st.places.Source+"'")
	s.fact("see", "psql '"+st.places.Destination+"'")
	s.fact("console", "http://"+st.places.Console)
	s.fact("records", program+" tail -c "+st.config+" crm.public.customers --from start")
	s.fact("lag", program+" status -c "+st.config+" --watch")
	s.fact("any client", "kcat -b "+st.places.Broker+" -L")
	s.fact("log", st.log.file.Name())
	s.blank()
	s.line(s.paint(bold, "Ctrl-C ends it and takes everything away again."))
}

// stay waits until the reader has seen enough.
func (st *stage) stay(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-st.served.done:
		return errors.New("the pipeline has ended")
	}
}
