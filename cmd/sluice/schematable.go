package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
)

// tableVerdict is what a statement would do to one captured table.
type tableVerdict struct {
	Table string `json:"table"`           // afterwards, where it is there then
	Was   string `json:"was,omitempty"`   // the name before, when it is another
	New   bool   `json:"new"`             // it was not captured before
	Topic string `json:"topic,omitempty"` // afterwards
	// Unchanged says that its records stay as they are.
	Unchanged bool             `json:"unchanged"`
	Problems  []string         `json:"problems"`
	Columns   []columnChange   `json:"columns"`
	Subjects  []subjectVerdict `json:"subjects"`
	Sinks     []sinkStep       `json:"sinks"`
	Reread    []string         `json:"reread"` // why rows that are there must be read again
	Notes     []string         `json:"notes"`
}

// table tells all of a table. A transform that cannot be done any more is the end of it.
func (j *ddlJudge) table(ctx context.Context, c *capture.TableChange) (*tableVerdict, error) {
	v := &tableVerdict{
		New: c.Before == nil, Problems: listed(c.Faults), Columns: []columnChange{}, Subjects: []subjectVerdict{}, Sinks: []sinkStep{}, Reread: listed(c.Reread), Notes: listed(c.Notes),
	}
	d, err := v.published(j.cfg, c)
	if err != nil {
		v.problem("capture stops before the table's next record: " + err.Error())
		return v, nil
	}
	if d.after != nil && c.Captured {
		if err := v.schemas(ctx, j, c, d); err != nil {
			return nil, err
		}
	}
	v.Columns = append(v.Columns, d.columns...)
	v.Sinks = j.foresee(ctx, c, d)
	v.source(j.cfg, c, d)
	for _, s := range v.Sinks {
		if s.Held || s.Stale {
			v.problem(s.text())
		}
	}
	return v, nil
}

func (v *tableVerdict) problem(what string) { v.Problems = append(v.Problems, what) }
func (v *tableVerdict) note(what string)    { v.Notes = append(v.Notes, what) }

// published compares the table as its records have it, after the transforms.
func (v *tableVerdict) published(cfg *config.Config, c *capture.TableChange) (*difference, error) {
	d := &difference{untold: c.Untold}
	var err error
	if c.Before != nil {
		v.Table = nameOf(c.Before.Table)
		if d.before, err = asPublished(cfg, c.Before.Table); err != nil {
			return nil, err
		}
	}
	if c.After == nil {
		return d, nil
	}
	if name := nameOf(c.After.Table); v.Table != name {
		v.Table, v.Was = name, v.Table
	}
	if d.after, err = asPublished(cfg, c.After.Table); err != nil {
		return nil, err
	}
	if c.Captured && d.moved() && d.before != c.Before.Table && d.after == c.After.Table {
		v.problem("transforms name the table as it is called now: what they keep from Kafka would go there; give them the new name first")
	}
	return d, nil
}

func nameOf(t *change.Table) string { return change.FormatName(t.Schema, t.Name) }

// schemas asks the registry, and compares the columns. Neither is done for a table that cannot have
// schemas.
func (v *tableVerdict) schemas(ctx context.Context, j *ddlJudge, c *capture.TableChange, d *difference) error {
	topic, pair, err := topicSchemas(j.cfg, d.after)
	if err != nil {
		v.problem(err.Error())
		d.compare(nil)
		return nil
	}
	v.Topic = topic
	if c.Before == c.After {
		v.Unchanged = !c.Emptied
		return nil
	}
	found, err := settle(ctx, j.registry, topic, d.after)
	if err != nil {
		return err
	}
	if found.refused == nil {
		pair = found.pair
	}
	before := map[string]string{}
	if d.before != nil && !d.moved() {
		was, err := settle(ctx, j.registry, topic, d.before)
		if err != nil {
			return err
		}
		v.evaded(was.table, found.table)
		for _, s := range subjectsOf(topic, was.pair) {
			before[s.name] = s.schema
		}
	}
	v.Subjects = found.verdicts(before, subjectsOf(topic, pair))
	for _, s := range v.Subjects {
		if s.Verdict == subjectIncompatible {
			v.problem(fmt.Sprintf("the registry refuses the schema of subject %s: %s: the table is held, its changes wait in their own topic, and so do sinks with it", s.Subject, strings.Join(s.Reasons, "; ")))
		}
	}
	avro, err := avroTexts(found.table, pair)
	if err != nil {
		return err
	}
	d.compare(avro)
	v.Unchanged = len(d.columns) == 0 && !slices.ContainsFunc(v.Subjects, func(s subjectVerdict) bool { return s.Verdict != subjectSame })
	return nil
}

// evaded names the columns that go on in fields of other names.
func (v *tableVerdict) evaded(was, is *change.Table) {
	fields := map[int16]string{}
	for _, c := range was.Columns {
		fields[c.Attnum] = c.Field
	}
	for _, c := range is.Columns {
		if old, had := fields[c.Attnum]; had && c.Field != "" && old != c.Field {
			v.note("column " + c.Name + " goes on in field " + c.Field + ", since the registry does not take another type in its own: readers see one field end and another begin")
		}
	}
}

// source says what capture makes of the table.
func (v *tableVerdict) source(cfg *config.Config, c *capture.TableChange, d *difference) {
	switch {
	case c.After == nil:
		v.problem("the table is gone: its topic keeps its records and gets no more" + unnamed(cfg, c.Before.Table))
		return
	case !c.Captured:
		v.problem("source.tables does not cover " + nameOf(c.After.Table) + ": its changes are dropped from then on, unless a pattern there covers it (a plain name must exist) and capture was started with that before" + unnamed(cfg, c.Before.Table))
	case d.moved():
		v.note("its records go to another topic, under subjects of their own: readers of the old one get no more")
		if named(cfg, c.Before.Table) {
			v.problem("source.tables names " + nameOf(c.Before.Table) + ": capture does not start again until the name is taken out")
		}
	case c.Emptied:
		v.note(truncation[cfg.Source.Truncate])
	}
	if c.After.Fault != "" && (c.Before == nil || c.Before.Fault == "" || c.Before != c.After) {
		v.problem(c.After.Fault + "; run with it: " + c.After.Fix)
	}
	if d.before != nil {
		v.key(d)
		v.identity(d)
	}
	v.columns(c, d)
}

// truncation says what becomes of a TRUNCATE in the topic, by source.truncate.
var truncation = map[string]string{
	"":                      "source.truncate is publish: a TRUNCATE stands in every partition of the topic",
	capture.TruncatePublish: "source.truncate is publish: a TRUNCATE stands in every partition of the topic",
	capture.TruncateValue:   "source.truncate is value: a TRUNCATE stands in partition 0 of the topic",
	capture.TruncateSkip:    "source.truncate is skip: nothing of it is in the topic",
}

// named tells whether source.tables names a table, not by a pattern.
func named(cfg *config.Config, t *change.Table) bool {
	return slices.ContainsFunc(cfg.Source.Tables, func(text string) bool {
		p, err := change.ParsePattern(text)
		schema, name, exact := p.Exact()
		return err == nil && exact && schema == t.Schema && name == t.Name
	})
}

func unnamed(cfg *config.Config, t *change.Table) string {
	if !named(cfg, t) {
		return ""
	}
	return "; source.tables names " + nameOf(t) + ": capture does not start again until the name is taken out"
}

func (v *tableVerdict) key(d *difference) {
	switch {
	case !d.keyChanged():
	case len(d.after.Key) == 0:
		v.note("records have no key any more: they stand in partition 0, and sinks match whole rows")
	default:
		v.note("records get another key (" + strings.Join(keyNames(d.after), ", ") + ") and may stand in other partitions than earlier records of the same rows")
	}
}

// identity says what comes with the old row.
func (v *tableVerdict) identity(d *difference) {
	was, is := d.before.Identity, d.after.Identity
	switch {
	case was == is:
	case is == change.IdentityFull:
		v.note("updates and deletes bring the whole old row from then on, and no value is left out as unchanged; the log grows by the old rows")
	case was == change.IdentityFull:
		v.note("updates bring no old row from then on, deletes its key only, and large values that an update leaves alone are marked unchanged")
	}
}

// columns names new columns that stay out of the records, and those whose older rows have a value that only
// the schema says.
func (v *tableVerdict) columns(c *capture.TableChange, d *difference) {
	if c.Before == nil {
		return
	}
	had := map[int]bool{}
	for _, col := range c.Before.Columns {
		had[col.Number] = true
	}
	inRecords := numbered(d.after)
	for _, col := range c.After.Columns {
		switch {
		case had[col.Number]:
		case col.Generated && inRecords[int16(col.Number)] == nil:
			v.note("column " + col.Name + " is generated and in no record")
		case col.Filled && inRecords[int16(col.Number)] != nil:
			v.note("column " + col.Name + ": rows that are there have " + col.Default + ", which the schema says (sluice.missing) and no record")
		}
	}
}
