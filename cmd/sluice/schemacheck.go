package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/schemas/registry"
)

type schemaCheckCmd struct {
	Statement string `arg:"" help:"The statement, in quotes: \"ALTER TABLE public.customers ADD COLUMN vip boolean\"."`
	JSON      bool   `name:"json" help:"As JSON, with the Avro schemas."`
}

// Help is shown by "sluice schema check-ddl --help".
func (schemaCheckCmd) Help() string {
	return "The statement (ALTER TABLE or DROP TABLE of a captured table) is carried out at the source on an empty temporary table that is made like the real one, " +
		"in a transaction that is always rolled back. The real table is locked no more than by a SELECT, so no application waits; a lock of others is waited for 1 s. " +
		"It needs SELECT on the table and TEMPORARY on the database. Told are: the records' schemas afterwards, what the registry says of them, what each sink does when they arrive, " +
		"and whether rows that are there must be read again. Not told is whether PostgreSQL carries the statement out on the rows, views, triggers and foreign keys that there are, " +
		"nor how long it takes. Exits 0 when all goes on by itself, 3 when something would be refused or held, 2 when the statement is none of these."
}

// ddlVerdict is what a statement would do.
type ddlVerdict struct {
	Statement  string           `json:"statement"`
	Table      string           `json:"table"`
	Compatible bool             `json:"compatible"`
	Problems   []string         `json:"problems"` // why it is not
	Columns    []columnChange   `json:"columns"`
	Subjects   []subjectVerdict `json:"subjects"`
	Sinks      []sinkStep       `json:"sinks"`
	Reread     []string         `json:"reread"` // why rows that are there must be read again
	Notes      []string         `json:"notes"`
}

// Run rehearses the statement and prints what came of it.
func (c *schemaCheckCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.ctx, 2*checkTime)
	defer cancel()
	r, err := capture.Rehearse(ctx, cfg.Source, c.Statement)
	if err != nil {
		return asUsage(err)
	}
	v, after := foretell(cfg, c.Statement, r)
	if len(after) > 0 {
		if err := a.withRegistry(ctx, cfg, func(client *registry.Client) error { return v.ask(ctx, client, cfg, r, after) }); err != nil {
			return err
		}
	}
	v.Compatible = len(v.Problems) == 0
	if err := a.printVerdict(v, c.JSON); err != nil {
		return err
	}
	if !v.Compatible {
		return errBad
	}
	return nil
}

// foretell says all but the registry's part, and which schemas are to be shown to it. A transform that
// cannot be done any more is the end of it.
func foretell(cfg *config.Config, statement string, r *capture.Rehearsal) (*ddlVerdict, []subject) {
	t := r.Before.Table
	v := &ddlVerdict{
		Statement: statement, Table: change.FormatName(t.Schema, t.Name),
		Problems: []string{}, Columns: []columnChange{}, Subjects: []subjectVerdict{}, Sinks: []sinkStep{}, Reread: append([]string{}, r.Reread...), Notes: []string{},
	}
	if err := v.transform(cfg, r); err != nil {
		v.Problems = append(v.Problems, "capture stops before the table's next record: "+err.Error())
		return v, nil
	}
	after, avro := v.schemas(cfg, r)
	d := compare(r, avro)
	v.Columns = append(v.Columns, d.columns...)
	v.Sinks = foresee(cfg, d)
	v.source(r, d)
	for _, s := range v.Sinks {
		if s.Held {
			v.Problems = append(v.Problems, "sink "+s.Sink+" "+s.What)
		}
		if s.Reread {
			v.Reread = append(v.Reread, "sink "+s.Sink+" "+s.What)
		}
	}
	return v, after
}

// transform makes the tables those of the records.
func (v *ddlVerdict) transform(cfg *config.Config, r *capture.Rehearsal) error {
	before, err := asPublished(cfg, r.Before.Table)
	if err != nil || r.After == nil {
		return err
	}
	after, err := asPublished(cfg, r.After.Table)
	if err != nil {
		return err
	}
	if r.Captured && before != r.Before.Table && after == r.After.Table {
		v.Problems = append(v.Problems, "transforms name the table as it is called now: what they keep from Kafka would go there; give them the new name first")
	}
	r.Before.Table, r.After.Table = before, after
	return nil
}

// schemas gives what the registry is to be asked, and how columns stand in records afterwards; neither
// when the table goes or cannot have schemas.
func (v *ddlVerdict) schemas(cfg *config.Config, r *capture.Rehearsal) ([]subject, map[string]string) {
	if r.After == nil {
		return nil, nil
	}
	topic, pair, err := topicSchemas(cfg, r.After.Table)
	if err != nil {
		v.Problems = append(v.Problems, err.Error())
		return nil, nil
	}
	avro, err := avroTexts(r.After.Table, pair)
	if err != nil {
		v.Problems = append(v.Problems, err.Error())
		return nil, nil
	}
	return subjectsOf(topic, pair), avro
}

// source says what capture makes of the table.
func (v *ddlVerdict) source(r *capture.Rehearsal, d *difference) {
	switch {
	case r.After == nil:
		v.Problems = append(v.Problems, "the table is gone: its topic keeps its records and gets no more; where source.tables names it, capture does not start again until the name is taken out")
		return
	case !r.Captured:
		v.Problems = append(v.Problems, "source.tables does not mean "+change.FormatName(d.after.Schema, d.after.Name)+": its changes are captured no longer once capture starts again")
	case d.moved():
		v.Notes = append(v.Notes, "its records go to another topic, under subjects of their own; where source.tables names the table, it needs the new name")
	}
	if r.After.Fault != "" {
		v.Problems = append(v.Problems, r.After.Fault+"; run with it: "+r.After.Fix)
	}
	if d.keyChanged() && len(d.after.Key) == 0 {
		v.Notes = append(v.Notes, "records have no key any more: they stand in partition 0, and sinks match whole rows")
	} else if d.keyChanged() {
		v.Notes = append(v.Notes, "records get another key ("+strings.Join(keyNames(d.after), ", ")+") and may stand in other partitions than earlier records of the same rows")
	}
	v.generated(r)
}

// generated names new columns that stay out of the records.
func (v *ddlVerdict) generated(r *capture.Rehearsal) {
	had := map[int]bool{}
	for _, c := range r.Before.Columns {
		had[c.Number] = true
	}
	inRecords := published(r.After)
	for _, c := range r.After.Columns {
		if c.Generated && !had[c.Number] && inRecords[c.Number] == nil {
			v.Notes = append(v.Notes, "column "+c.Name+" is generated, cannot be computed from the log and is in no record")
		}
	}
}

// ask gets the registry's verdicts.
func (v *ddlVerdict) ask(ctx context.Context, client *registry.Client, cfg *config.Config, r *capture.Rehearsal, after []subject) error {
	before := map[string]string{}
	if topic, pair, err := topicSchemas(cfg, r.Before.Table); err == nil {
		for _, s := range subjectsOf(topic, pair) {
			before[s.name] = s.schema
		}
	}
	var err error
	if v.Subjects, err = judgeSubjects(ctx, client, before, after); err != nil {
		return err
	}
	for _, s := range v.Subjects {
		if s.Verdict == subjectIncompatible {
			v.Problems = append(v.Problems, fmt.Sprintf("the registry refuses the schema of subject %s: %s: no record of the table could be written", s.Subject, strings.Join(s.Reasons, "; ")))
		}
	}
	return nil
}
