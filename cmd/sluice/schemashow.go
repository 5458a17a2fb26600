package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/registry"
)

type schemaShowCmd struct {
	Table string `arg:"" help:"Captured table, as in SQL: public.customers."`
	JSON  bool   `name:"json" help:"As JSON, with the Avro schemas."`
}

// Help is shown by "sluice schema show --help".
func (schemaShowCmd) Help() string {
	return "Changes nothing. The columns are those that the table has now; the schemas are those that capture registers for them."
}

// shownTable is all that there is to say of a table.
type shownTable struct {
	Table    string                  `json:"table"`
	Topic    string                  `json:"topic"`
	Identity string                  `json:"replica_identity"`
	Key      []string                `json:"key"`
	Columns  []shownColumn           `json:"columns"`
	Fault    string                  `json:"fault,omitempty"`
	Fix      string                  `json:"fix,omitempty"`
	Schemas  shownSchemas            `json:"schemas"`
	Subjects []shownSubject          `json:"subjects"`
	Sinks    map[string][]sinkTarget `json:"sinks"`
}

type shownColumn struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	NotNull   bool   `json:"not_null"`
	Default   string `json:"default,omitempty"`
	Generated bool   `json:"generated,omitempty"`
	Key       bool   `json:"key"`
	Avro      string `json:"avro,omitempty"` // empty when the column is in no record
	// Made says that it is a column of the records only, which a transform makes.
	Made bool `json:"made,omitempty"`
}

type shownSchemas struct {
	Key   json.RawMessage `json:"key"`
	Value json.RawMessage `json:"value"`
}

// shownSubject is what the registry has of a subject.
type shownSubject struct {
	Subject  string `json:"subject"`
	Versions []int  `json:"versions"`
	ID       int    `json:"latest_id,omitempty"`
	Current  bool   `json:"current"` // the newest version is the schema of the table as it is
}

// Run asks the source and the registry, and prints.
func (c *schemaShowCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	schema, name, err := change.ParseName(c.Table)
	if err != nil {
		return usageError{err}
	}
	ctx, cancel := context.WithTimeout(a.ctx, checkTime)
	defer cancel()
	state, err := capture.Inspect(ctx, cfg.Source, schema, name)
	if err != nil {
		return asUsage(err)
	}
	shown, pair, err := showTable(cfg, state)
	if err != nil {
		return err
	}
	asked := a.withRegistry(ctx, cfg, func(r *registry.Client) (err error) {
		shown.Subjects, err = showSubjects(ctx, r, shown.Topic, pair)
		return err
	})
	if err := a.printShown(shown, c.JSON); err != nil {
		return err
	}
	return asked
}

func showTable(cfg *config.Config, s *capture.TableState) (*shownTable, schemas.Pair, error) {
	t, err := asPublished(cfg, s.Table)
	if err != nil {
		return nil, schemas.Pair{}, err
	}
	topic, pair, err := topicSchemas(cfg, t)
	if err != nil {
		return nil, pair, err
	}
	avro, err := avroTexts(t, pair)
	if err != nil {
		return nil, pair, err
	}
	shown := &shownTable{
		Table: change.FormatName(t.Schema, t.Name), Topic: topic, Identity: identityText(t.Identity), Key: keyNames(t),
		Fault: s.Fault, Fix: s.Fix, Schemas: shownSchemas{rawSchema(pair.Key), rawSchema(pair.Value)},
		Sinks: sinkTargets(cfg, t),
	}
	isKey := map[string]bool{}
	for _, k := range shown.Key {
		isKey[k] = true
	}
	for _, c := range s.Columns {
		shown.Columns = append(shown.Columns, shownColumn{c.Name, c.Type, c.NotNull, c.Default, c.Generated, isKey[c.Name], avro[c.Name], false})
		delete(avro, c.Name)
	}
	for _, c := range t.Columns {
		if text, made := avro[c.Name]; made {
			shown.Columns = append(shown.Columns, shownColumn{Name: c.Name, Type: c.Type.Name, Made: true, Key: isKey[c.Name], Avro: text})
		}
	}
	return shown, pair, nil
}

func showSubjects(ctx context.Context, r *registry.Client, topic string, pair schemas.Pair) ([]shownSubject, error) {
	var all []shownSubject
	for _, s := range subjectsOf(topic, pair) {
		versions, err := r.Versions(ctx, s.name)
		if err != nil {
			return nil, err
		}
		shown := shownSubject{Subject: s.name, Versions: versions}
		if len(versions) > 0 {
			id, text, err := r.Latest(ctx, s.name)
			if err != nil {
				return nil, fmt.Errorf("subject %s: %w", s.name, err)
			}
			shown.ID, shown.Current = id, sameJSON(text, s.schema)
		}
		all = append(all, shown)
	}
	return all, nil
}
