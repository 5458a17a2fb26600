package sink

import "time"

// Watcher is what a destination can do beside Sink when it watches what others write to what the sink fills.
type Watcher interface {
	// Foreign gives what was seen of writes of others since the last call. It does not block.
	Foreign() []ForeignWrite
}

// ForeignWrite is a write of somebody else to what a sink keeps equal to its source.
type ForeignWrite struct {
	At          time.Time `json:"at"`
	Table       string    `json:"table"`     // the destination's, as in SQL
	Operation   string    `json:"operation"` // INSERT, UPDATE, DELETE or TRUNCATE
	Rows        int64     `json:"rows"`      // a TRUNCATE counts as one
	Columns     []string  `json:"columns,omitempty"`
	Login       string    `json:"login"` // as whom
	Application string    `json:"application,omitempty"`
	Client      string    `json:"client,omitempty"` // address
	// Trigger says that a trigger of the destination wrote it while the sink applied something else.
	Trigger bool `json:"trigger,omitempty"`
}

// watcherOf gives the watcher of a destination, behind the mappings and the breaker; nil when it is none.
func watcherOf(dest Sink) Watcher {
	w, _ := abilityOf[Watcher](dest)
	return w
}

func (m *mapper) behind() Sink  { return m.Sink }
func (b *breaker) behind() Sink { return b.Sink }

// noticeForeign tells of what others wrote to the destination.
func (r *Runner) noticeForeign() {
	if r.watcher == nil {
		return
	}
	writes := r.watcher.Foreign()
	rows := int64(0)
	for i := range writes {
		rows += writes[i].Rows
		r.metrics.foreign.WithLabelValues(r.cfg.Name, writes[i].Table).Add(float64(writes[i].Rows))
		r.status.foreign(&writes[i])
	}
	if w := r.status.get().LastForeignWrite; len(writes) > 0 {
		r.log.Warn("somebody else wrote to synced columns: sluice.foreign_writes at the destination has who, when and what", "rows", rows, "last_table", w.Table,
			"last_operation", w.Operation, "last_login", w.Login, "last_application", w.Application, "last_client", w.Client, "by_trigger", w.Trigger)
	}
}
