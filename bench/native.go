package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"
)

// nativeSettings are those of the subscription: the defaults, and binary.
const nativeSettings = "subscription with binary = true, streaming = off, synchronous_commit = off (its default), copy_data = false"

// drainNative has the destination subscribe to the run's slot.
func drainNative(ctx context.Context, j job) (s sample, err error) {
	start := time.Now()
	end, err := j.subscribe(ctx)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, end(context.WithoutCancel(ctx))) }()
	err = j.awaitMark(ctx)
	return sample{Seconds: time.Since(start).Seconds()}, err
}

// subscribe has native replication read the run's slot and gives what ends it.
func (j *job) subscribe(ctx context.Context) (end func(context.Context) error, err error) {
	conn, err := pgx.Connect(ctx, j.destination.DSN(j.name))
	if err != nil {
		return nil, err
	}
	name := "sluice_" + j.name
	_, err = conn.Exec(ctx, fmt.Sprintf("create subscription s connection '%s' publication %s with (slot_name = %s, create_slot = false, copy_data = false, binary = true)",
		j.dsn, name, name))
	return func(ctx context.Context) error {
		defer conn.Close(ctx)
		for _, sql := range []string{"alter subscription s disable", "alter subscription s set (slot_name = none)", "drop subscription s"} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	}, err
}

// copyIn is the limit of a destination: a client copies the rows into a table with a key.
func copyIn(ctx context.Context, j job) (s sample, err error) {
	file := j.file() + ".copy"
	path, err := clientProgram("psql")
	if err != nil {
		return sample{}, err
	}
	defer func() { err = errors.Join(err, os.Remove(file)) }()
	from := exec.CommandContext(ctx, path, "-X", "-d", j.dsn, "-c", `\copy `+j.tables[0]+` to '`+file+`' (format binary)`)
	if _, err := toEnd("psql", from); err != nil {
		return sample{}, err
	}
	return toEnd("psql", exec.CommandContext(ctx, path, "-X", "-d", j.destination.DSN(j.name), "-c", `\copy `+j.tables[0]+` from '`+file+`' (format binary)`))
}
