package verify

import (
	"context"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/transform"
)

// expectation makes of a row of the source what its destination should hold, the way that a record does: written
// and read as Avro before each mapping, so that expressions see what they see there.
type expectation struct {
	p     *pair
	steps []expectStep
	row   change.Row
}

type expectStep struct {
	trip    *trip
	mapping *transform.Mapping // nil: none
}

func newExpectation(source string, p *pair) (*expectation, error) {
	e := &expectation{p: p, row: make(change.Row, len(p.From.Columns))}
	t := p.From
	maps := []*transform.Mapping{p.Mapping}
	if p.Transform != nil {
		maps = []*transform.Mapping{p.Transform, p.Mapping}
	}
	for _, m := range maps {
		way, err := newTrip(source, t)
		if err != nil {
			return nil, err
		}
		e.steps = append(e.steps, expectStep{way, m})
		if m != nil {
			t = m.Table()
		}
	}
	return e, nil
}

// add puts a row of the source, whose values are in the order of its columns, into a slab.
func (e *expectation) add(ctx context.Context, to *slab, values [][]byte, version Version) error {
	for i, v := range values {
		e.row[i] = change.Value{Format: change.Null}
		if v != nil {
			e.row[i] = change.Value{Format: change.Text, Data: v}
		}
	}
	source := make([]string, len(e.p.key))
	for n, i := range e.p.key {
		source[n] = string(e.row[e.p.origins[i].Column].Data)
	}
	row, meant := e.row, true
	for _, s := range e.steps {
		var err error
		if row, meant, err = s.do(row, meant); err != nil {
			return err
		}
	}
	return to.add(ctx, row, source, version, meant)
}

// do maps a row; of one that is left out it gives the key.
func (s *expectStep) do(row change.Row, meant bool) (change.Row, bool, error) {
	if !meant {
		if s.mapping == nil {
			return row, false, nil
		}
		return s.mapping.Key(row), false, nil
	}
	row, err := s.trip.texts(row)
	if s.mapping == nil || err != nil {
		return row, true, err
	}
	s.mapping.Reset()
	out, ok, err := s.mapping.Apply(&change.Change{Op: change.Read, Table: s.mapping.Source(), After: row}, nil)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		return s.mapping.Key(row), false, nil
	}
	return out.After, true, nil
}

// trip is the way through Kafka.
type trip struct {
	table   *change.Table
	encoder *avro.Encoder
	decoder *avro.Decoder
	record  avro.Record
	arena   []byte
	value   []byte
}

func newTrip(source string, t *change.Table) (*trip, error) {
	topic := schemas.Topic(source, t.Schema, t.Name)
	pair, err := schemas.ForTable(topic, t)
	if err != nil {
		return nil, err
	}
	w := &trip{table: t}
	if w.encoder, err = avro.NewEncoder(avro.Options{Source: source, Topic: topic, Table: t}); err != nil {
		return nil, err
	}
	w.decoder, err = avro.NewDecoder(pair.Key, pair.Value)
	return w, err
}

// noGroup is that of rows that travel for the sake of their values only.
var noGroup = &change.Group{Kind: change.Snapshot}

// texts gives the row as a reader of its record has it, until the next call.
func (w *trip) texts(row change.Row) (change.Row, error) {
	var err error
	read := change.Change{Op: change.Read, Table: w.table, After: row}
	if w.value, err = w.encoder.Envelope(w.value[:0], noGroup, &read, avro.Order{}, 0); err != nil {
		return nil, err
	}
	_, body, err := avro.SplitFrame(w.value)
	if err != nil {
		return nil, err
	}
	w.arena = w.arena[:0]
	err = w.decoder.Envelope(body, &w.record, &w.arena)
	return w.record.Change.After, err
}
