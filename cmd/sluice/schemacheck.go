package main

import (
	"context"
	"slices"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/schemas/registry"
)

type schemaCheckCmd struct {
	Statement string `arg:"" help:"The statement, or several with semicolons between them, in quotes: \"ALTER TABLE public.customers ADD COLUMN vip boolean\"."`
	JSON      bool   `name:"json" help:"As JSON, with the Avro schemas."`
}

// Help is shown by "sluice schema check-ddl --help".
func (schemaCheckCmd) Help() string {
	return "The statements are carried out at the source, one after the other, on empty temporary tables that are made like the real ones, " +
		"in a transaction that is always rolled back. A real table is locked no more than by a SELECT, so no application waits; a lock of others is waited for 1 s. What is done to capture's publication is done to it itself, which keeps no writer waiting either. " +
		"It needs SELECT on the tables and TEMPORARY on the database. Told are: the records' schemas afterwards, what the registry says of them, what each sink does when they arrive, " +
		"and whether rows that are there must be read again. Not told is whether PostgreSQL carries a statement out on the rows, views, triggers and foreign keys that there are, " +
		"nor how long it takes. Known are ALTER, CREATE, DROP TABLE and TRUNCATE, partitions included, ALTER TYPE and DOMAIN, statements about indexes and publications, and COMMENT. " +
		"Exits 0 when all goes on by itself, 3 when something would be refused, held or lost, 2 when a statement is none of these or PostgreSQL does not take it."
}

// ddlVerdict is what statements would do, one after the other.
type ddlVerdict struct {
	Compatible bool                `json:"compatible"`
	Statements []*statementVerdict `json:"statements"`
}

// statementVerdict is what one statement would do.
type statementVerdict struct {
	Statement  string          `json:"statement"`
	Compatible bool            `json:"compatible"`
	Tables     []*tableVerdict `json:"tables"`   // captured ones that it is about
	Problems   []string        `json:"problems"` // beside those of the tables
	Notes      []string        `json:"notes"`
}

// Run rehearses the statements and prints what came of them.
func (c *schemaCheckCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(a.ctx, 2*checkTime)
	defer cancel()
	rehearsed, err := capture.Rehearse(ctx, cfg.Source, c.Statement)
	if err != nil {
		return asUsage(err)
	}
	v := &ddlVerdict{Compatible: true}
	judge := func(client *registry.Client) error { return v.judge(ctx, &ddlJudge{cfg, client}, rehearsed) }
	if !asksRegistry(rehearsed) {
		err = judge(nil)
	} else {
		err = a.withRegistry(ctx, cfg, judge)
	}
	if err != nil {
		return err
	}
	if err := a.printVerdict(v, c.JSON); err != nil {
		return err
	}
	if !v.Compatible {
		return errBad
	}
	return nil
}

// asksRegistry tells whether any statement makes records of another schema.
func asksRegistry(all []capture.Rehearsal) bool {
	for i := range all {
		for k := range all[i].Tables {
			if t := &all[i].Tables[k]; t.After != nil && t.After != t.Before {
				return true
			}
		}
	}
	return false
}

// ddlJudge knows what the configuration makes of a table.
type ddlJudge struct {
	cfg      *config.Config
	registry *registry.Client // nil when nothing is to be asked
}

func (v *ddlVerdict) judge(ctx context.Context, j *ddlJudge, all []capture.Rehearsal) error {
	for i := range all {
		r := &all[i]
		s := &statementVerdict{Statement: r.Statement, Tables: []*tableVerdict{}, Problems: listed(r.Faults), Notes: listed(r.Notes)}
		s.Compatible = len(s.Problems) == 0
		for k := range r.Tables {
			t, err := j.table(ctx, &r.Tables[k])
			if err != nil {
				return err
			}
			s.Tables = append(s.Tables, t)
			s.Compatible = s.Compatible && len(t.Problems) == 0
		}
		v.Statements = append(v.Statements, s)
	}
	j.together(ctx, v.Statements, all)
	v.Compatible = !slices.ContainsFunc(v.Statements, func(s *statementVerdict) bool { return !s.Compatible })
	return nil
}

// together adds what sinks do when they see statements as one: no record of the table may come
// between them, and what an earlier one leaves at the destination may be in the way of a later one.
func (j *ddlJudge) together(ctx context.Context, verdicts []*statementVerdict, all []capture.Rehearsal) {
	first := map[uint32]*capture.TableChange{}
	for i := range all {
		for k := range all[i].Tables {
			c := &all[i].Tables[k]
			if c.Before == nil || c.After == nil || c.Before == c.After {
				continue
			}
			oid := c.Before.Table.OID
			if begin, several := first[oid]; several {
				j.joined(ctx, verdicts, &capture.TableChange{Before: begin.Before, After: c.After, Captured: c.Captured, Untold: slices.Concat(begin.Untold, c.Untold)}, verdicts[i], verdicts[i].Tables[k])
			} else {
				first[oid] = c
			}
		}
	}
}

// joined tells of sinks that are held by the change as a whole and by none of its statements.
func (j *ddlJudge) joined(ctx context.Context, so []*statementVerdict, c *capture.TableChange, s *statementVerdict, t *tableVerdict) {
	d, err := new(tableVerdict).published(j.cfg, c)
	if err != nil || !c.Captured || d.moved() {
		return // said of the statement itself
	}
	d.compare(nil)
	for _, step := range j.foresee(ctx, c, d) {
		if step.Held && !holds(so, step.Sink) {
			t.problem("taken together with the statements before, " + step.text())
			t.Sinks = append(t.Sinks, step)
			s.Compatible = false
		}
	}
}

// holds tells whether a sink is held by any statement so far.
func holds(verdicts []*statementVerdict, name string) bool {
	for _, s := range verdicts {
		for _, t := range s.Tables {
			if slices.ContainsFunc(t.Sinks, func(step sinkStep) bool { return step.Sink == name && step.Held }) {
				return true
			}
		}
	}
	return false
}

// listed gives a list that JSON shows as one, also when it is empty.
func listed(texts []string) []string { return append([]string{}, texts...) }
