package publish

import (
	"fmt"
	"slices"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/avro"
	"github.com/sluicecdc/sluice/transform"
)

// reshape applies the transforms of one version of a table. Expressions read texts, so a change is
// first written as the record that it would be without transforms, and read back: one way of reading
// values, whatever form the log has them in.
type reshape struct {
	mapping *transform.Mapping
	encoder *avro.Encoder
	decoder *avro.Decoder
	record  avro.Record
	other   change.Row
	arena   []byte
	value   []byte
}

// reshapeOf gives the transforms of a table; nil when it has none.
func (p *Publisher) reshapeOf(t *change.Table) (*reshape, error) {
	i := slices.IndexFunc(p.o.Transforms, func(r transform.Rule) bool { return r.Covers(t) })
	if i < 0 {
		return nil, nil
	}
	rule := p.o.Transforms[i]
	if rule.Unsalted() {
		p.log.Warn("a mask sha256 without salt: whoever knows what the values look like can hash them all and compare; set salt", "table", t.QualifiedName())
	}
	mapping, err := rule.Compile(t)
	if err != nil {
		return nil, err
	}
	topic := schemas.Topic(p.o.Source, t.Schema, t.Name)
	pair, err := schemas.ForTable(topic, t)
	if err != nil {
		return nil, err
	}
	r := &reshape{mapping: mapping}
	if r.encoder, err = avro.NewEncoder(avro.Options{Source: p.o.Source, Topic: topic, Table: t}); err != nil {
		return nil, err
	}
	r.decoder, err = avro.NewDecoder(pair.Key, pair.Value)
	return r, err
}

// checkTransforms compiles the transforms of the tables known at the start, so that a wrong one is an
// error before anything is published.
func (p *Publisher) checkTransforms(tables []*change.Table) error {
	for _, t := range tables {
		if _, err := p.reshapeOf(t); err != nil {
			return err
		}
	}
	return nil
}

// apply gives c in the shape of its topic, nil when nothing of it is left. It is valid until the next call.
func (r *reshape) apply(g *change.Group, c *change.Change) (*change.Change, error) {
	read, err := r.texts(g, c)
	if err != nil {
		return nil, err
	}
	r.mapping.Reset()
	out, ok, err := r.mapping.Apply(read, nil)
	if err != nil || !ok {
		return nil, err
	}
	return &out, nil
}

// texts gives c with its values as texts.
func (r *reshape) texts(g *change.Group, c *change.Change) (*change.Change, error) {
	var err error
	if r.value, err = r.encoder.Envelope(r.value[:0], g, c, avro.Order{}, 0); err != nil {
		return nil, err
	}
	_, body, err := avro.SplitFrame(r.value)
	if err != nil {
		return nil, err
	}
	r.arena = r.arena[:0]
	if err := r.decoder.Envelope(body, &r.record, &r.arena); err != nil {
		return nil, err
	}
	read := &r.record.Change
	read.Table, read.Ordinal, read.LSN = c.Table, c.Ordinal, c.LSN
	if c.OtherKey == nil {
		return read, nil
	}
	return read, r.otherKey(c)
}

func (r *reshape) otherKey(c *change.Change) error {
	framed, err := r.encoder.Key(r.value[:0], c.OtherKey)
	if err != nil {
		return err
	}
	_, body, err := avro.SplitFrame(framed)
	if err != nil {
		return fmt.Errorf("cannot read a key back: %w", err)
	}
	r.other, err = r.decoder.Key(body, r.other, &r.arena)
	r.record.Change.OtherKey = r.other
	return err
}
