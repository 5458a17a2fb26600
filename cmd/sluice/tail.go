package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicecdc/sluice/internal/config"
	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/tail"
	"github.com/sluicecdc/sluice/schemas/registry"
)

type tailCmd struct {
	Topic string `arg:"" help:"Topic, such as crm.public.customers or crm.transaction."`
	From  string `enum:"start,end" default:"end" placeholder:"PLACE" help:"Begin at the start or the end of the topic (default: end)."`
	Exit  bool   `help:"Print what is in the topic now, from the start, and exit."`
}

// Help is shown by "sluice tail --help".
func (tailCmd) Help() string {
	return "One JSON object a line: topic, partition, offset, time, key, value and headers. Avro is decoded by its registered schema; " +
		"decimals are text, times are ISO 8601, bytes are hexadecimal. Without --exit it goes on until interrupted."
}

// Run prints the topic.
func (c *tailCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	client, err := a.openKafka(cfg)
	if err != nil {
		return unlessStopped(a.ctx, err)
	}
	defer client.Close()
	schemas, err := registry.New(cfg.Schemas, a.logger())
	if err != nil {
		return err
	}
	defer schemas.Close()
	printer := tail.NewPrinter(schemas)
	var line []byte
	emit := func(partition int32, r *kafka.Record) (err error) {
		if line, err = printer.Line(a.ctx, line[:0], c.Topic, partition, r); err != nil {
			return err
		}
		if _, err = a.out.Write(line); err != nil {
			return fmt.Errorf("cannot print: %w", err)
		}
		return nil
	}
	if c.Exit {
		err = tail.Existing(a.ctx, client, c.Topic, emit)
	} else {
		err = tail.Follow(a.ctx, client, c.Topic, c.From == "start", emit)
	}
	return unlessStopped(a.ctx, err)
}

// openTime bounds the wait for brokers of a command that a person waits for.
const openTime = 10 * time.Second

func (a *app) openKafka(cfg *config.Config) (*kafka.Client, error) {
	ctx, cancel := context.WithTimeout(a.ctx, openTime)
	defer cancel()
	return kafka.Open(ctx, cfg.Kafka, a.logger())
}
