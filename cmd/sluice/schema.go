package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/schemas"
	"github.com/sluicecdc/sluice/schemas/registry"
)

type schemaCmd struct {
	Show     schemaShowCmd  `cmd:"" help:"Show a captured table: its columns, its records and what sinks make of them."`
	CheckDDL schemaCheckCmd `cmd:"" name:"check-ddl" help:"Say what statements would do to records and sinks, before anyone runs them."`
}

// asPublished gives a table as its topic has it, after the transforms.
func asPublished(cfg *config.Config, t *change.Table) (*change.Table, error) {
	for i := range cfg.Transforms {
		if r := &cfg.Transforms[i]; r.Covers(t) {
			m, err := r.Compile(t)
			if err != nil {
				return nil, err
			}
			return m.Table(), nil
		}
	}
	return t, nil
}

// topicSchemas gives the topic of a table, as it is published, and the schemas of its records.
func topicSchemas(cfg *config.Config, t *change.Table) (topic string, pair schemas.Pair, err error) {
	topic = schemas.Topic(cfg.Source.Name, t.Schema, t.Name)
	pair, err = schemas.ForTable(topic, t)
	return topic, pair, err
}

// withRegistry calls f with a client of the configured registry.
func (a *app) withRegistry(ctx context.Context, cfg *config.Config, f func(*registry.Client) error) error {
	if cfg.Schemas.IsEmbedded() && !listens(ctx, cfg.Schemas.EmbeddedListen) {
		return fmt.Errorf("cannot ask the schema registry: it is embedded in capture, which does not listen on %s: start capture", cfg.Schemas.EmbeddedListen)
	}
	client, err := registry.New(cfg.Schemas, a.logger())
	if err != nil {
		return err
	}
	defer client.Close()
	return f(client)
}

// rawSchema is schema text inside JSON; null without text.
func rawSchema(text string) json.RawMessage {
	if text == "" {
		return nil
	}
	return json.RawMessage(text)
}

// asUsage makes a wrong statement or table a fault of the command line.
func asUsage(err error) error {
	var fault *capture.StatementError
	if errors.As(err, &fault) {
		return usageError{err}
	}
	return err
}

// avroTexts says for each column of a table how its value stands in a record, by the column's name.
func avroTexts(t *change.Table, pair schemas.Pair) (map[string]string, error) {
	envelope, err := schemas.Parse(pair.Value)
	if err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for i, f := range schemas.Row(envelope).Fields {
		c := &t.Columns[i]
		text := avroText(f.Type, &c.Type)
		if f.Type.Type == "union" {
			text += " or null"
		}
		if f.Name != c.Name {
			text += ", named " + f.Name
		}
		texts[c.Name] = text
	}
	return texts, nil
}

func avroText(n *schemas.Node, t *change.Type) string {
	switch {
	case n.Type == "union":
		return avroText(n.Branches[len(n.Branches)-1], t)
	case n.Type == "array":
		return "array of " + avroText(n.Items, t.Elem)
	case n.Logical == "decimal":
		return fmt.Sprintf("bytes decimal(%d,%d)", t.Precision, t.Scale)
	}
	return strings.TrimSpace(n.Type + " " + n.Logical)
}

func keyNames(t *change.Table) []string {
	names := []string{}
	for _, k := range t.Key {
		names = append(names, t.Columns[k].Name)
	}
	return names
}

func identityText(i change.Identity) string {
	switch i {
	case change.IdentityFull:
		return "full"
	case change.IdentityIndex:
		return "index"
	case change.IdentityNothing:
		return "nothing"
	}
	return "default"
}
