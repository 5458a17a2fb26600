package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicecdc/sluice/capture"
	"github.com/sluicecdc/sluice/internal/control"
	"github.com/sluicecdc/sluice/internal/retry"
	"github.com/sluicecdc/sluice/internal/verify"
	"github.com/sluicecdc/sluice/sink"
	"github.com/sluicecdc/sluice/sink/postgres"
)

const (
	// keysPerWish and wishes bound the predicates of copies: they stay in the state topic and in /api/status. More rows
	// than their product are sent again by the ranges that they are in.
	keysPerWish = 200
	wishes      = 10
	// repairedRows is how many rows of a table a pass knows. Are more missing or different, all of it is sent again.
	repairedRows = 50_000
	// removedAtOnce is how many rows leave in one transaction.
	removedAtOnce = 1000
	// freely and share: more extra rows of a table than both are not removed without --yes-remove.
	freely = 1000
	share  = 10 // percent
	// takenUp is how long capture may take to begin with a copy.
	takenUp = time.Minute
)

// repair mends what the last results say, and gives the tables that are to be looked at again.
func (k *sinkJob) repair(ctx context.Context) (again []int, err error) {
	placed := map[string]bool{}
	for _, i := range k.entries {
		r := k.results[i]
		if r == nil || r.Drift() == 0 {
			continue
		}
		ids, err := k.resend(ctx, i, r)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			placed[id] = true
		}
		removed, err := k.remove(ctx, i, r)
		if err != nil {
			return nil, err
		}
		if len(ids) > 0 || removed {
			again = append(again, i)
		}
	}
	return again, k.await(ctx, placed)
}

// resend asks capture for the rows again that are missing or different, for this sink only.
func (k *sinkJob) resend(ctx context.Context, i int, r *verify.Result) (ids []string, err error) {
	predicates := []string{""}
	switch {
	case r.Keyless && r.Parked > 0:
		k.log.Error("a table without key is not repaired while changes of it are parked: their rows would be sent again, and made twice when they are replayed. Replay or drop what is parked first (sluice dlq)",
			"sink", k.s.Name, "table", r.Table)
		return nil, nil
	case r.Keyless && k.s.Tables[i].Deletes.Policy == sink.DeleteIgnore:
		k.log.Error("a table without key is not repaired under deletes: ignore: it would be copied beside the rows that it has. Empty the destination table, then run sluice snapshot for the source's",
			"sink", k.s.Name, "table", r.Table)
		return nil, nil
	case !r.Keyless:
		predicates = predicatesOf(r)
	}
	if len(predicates) == 0 {
		return nil, nil
	}
	stamp := time.Now().UTC().Format("20060102-150405")
	all := control.Wishes{}
	for n, where := range predicates {
		q := capture.CopyRequest{ID: fmt.Sprintf("verify-%s-%d.%d/%s", stamp, i, n, k.s.Tables[i].From), Table: k.s.Tables[i].From, Where: where, Sink: k.s.Name, Wanted: capture.WantRun}
		if err := all.Put(snapshotPrefix+q.ID, &q); err != nil {
			return nil, err
		}
		ids = append(ids, q.ID)
	}
	if r.Keyless {
		k.say("repair  %s: %s is copied whole: its rows have no key\n", k.s.Name, r.Table)
	} else {
		k.say("repair  %s: rows of %s are sent again\n", k.s.Name, r.Table)
	}
	return ids, k.desk.write(ctx, all)
}

// predicatesOf gives the predicates of the copies: by key, by ranges of the key where rows are many, or of all rows.
func predicatesOf(r *verify.Result) (predicates []string) {
	if r.Drift() > int64(len(r.Rows)) && r.Missing+r.Different > 0 {
		return []string{""}
	}
	var rows []*verify.Row
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Source != nil {
			rows = append(rows, row)
		}
	}
	if len(rows) <= keysPerWish*wishes {
		for part := range slices.Chunk(rows, keysPerWish) {
			predicates = append(predicates, keysPredicate(r.SourceKey, part))
		}
		return predicates
	}
	var ranges []string
	for _, row := range rows {
		if one := rangePredicate(r.RangeKey, row); !slices.Contains(ranges, one) {
			ranges = append(ranges, one)
		}
	}
	for part := range slices.Chunk(ranges, 1+len(ranges)/wishes) {
		predicates = append(predicates, strings.Join(part, " OR "))
	}
	return predicates
}

// keysPredicate writes (a, b) IN ((1, 2), ...). The constants take the columns' types.
func keysPredicate(columns []string, rows []*verify.Row) string {
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = sqlRow(row.Source, sqlText)
	}
	return sqlRow(columns, sqlIdent) + " IN (" + strings.Join(keys, ", ") + ")"
}

func rangePredicate(columns []string, row *verify.Row) string {
	conditions := []string{"true"}
	if row.After != nil {
		conditions = append(conditions, sqlRow(columns, sqlIdent)+" > "+sqlRow(row.After, sqlText))
	}
	if row.UpTo != nil {
		conditions = append(conditions, sqlRow(columns, sqlIdent)+" <= "+sqlRow(row.UpTo, sqlText))
	}
	return "(" + strings.Join(conditions, " AND ") + ")"
}

func sqlRow(items []string, write func(string) string) string {
	parts := make([]string, len(items))
	for i, item := range items {
		parts[i] = write(item)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func sqlIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// sqlText writes a constant, whatever standard_conforming_strings is.
func sqlText(s string) string {
	quoted := "'" + strings.ReplaceAll(s, "'", "''") + "'"
	if strings.Contains(s, `\`) {
		return "E" + strings.ReplaceAll(quoted, `\`, `\\`)
	}
	return quoted
}

// remove has extra rows leave by the table's delete policy, and tells whether it did.
func (k *sinkJob) remove(ctx context.Context, i int, r *verify.Result) (bool, error) {
	if r.Extra == 0 || r.Keyless {
		return false, nil
	}
	if k.dest == nil {
		k.log.Error("rows that do not belong are not removed from an API: delete them there", "sink", k.s.Name, "table", r.Table, "rows", r.Extra)
		return false, nil
	}
	if most := max(freely, r.DestinationRows*share/100, k.YesRemove); r.Extra > most {
		k.log.Error("rows are not removed: they are more than a mistake of somebody would be. Make sure that the source and the mapping are right, then say how many may go",
			"sink", k.s.Name, "table", r.Table, "rows", r.Extra, "of", r.DestinationRows, "confirm", fmt.Sprintf("--yes-remove %d", r.Extra))
		return false, nil
	}
	var rows []postgres.RowVersion
	for n := range r.Rows {
		if row := &r.Rows[n]; row.Kind == verify.Extra {
			rows = append(rows, postgres.RowVersion(row.Version))
		}
	}
	removed := int64(0)
	for part := range slices.Chunk(rows, removedAtOnce) {
		n, err := k.dest.RemoveExtra(ctx, k.shapes[i], part)
		if err != nil {
			return false, err
		}
		removed += n
	}
	k.say("repair  %s: %d extra rows of %s left by the policy deletes: %s\n", k.s.Name, removed, r.Destination, k.s.Tables[i].Deletes.Policy)
	return true, nil
}

// await waits until copies are done.
func (k *sinkJob) await(ctx context.Context, ids map[string]bool) error {
	pause := retry.Backoff{First: 100 * time.Millisecond, Most: 2 * time.Second}
	for began := time.Now(); len(ids) > 0; {
		all, err := k.desk.copies(ctx)
		if err != nil {
			return err
		}
		for i := range all {
			switch s := &all[i]; {
			case !ids[s.ID]:
			case s.State == capture.CopyDone:
				delete(ids, s.ID)
			case s.State == capture.CopyFailed || s.State == capture.CopyCancelled:
				return fmt.Errorf("rows of %s could not be sent again: the copy %s is %s%s", s.Table, s.ID, s.State, because(s.Reason))
			case s.State == copyRequested && time.Since(began) > takenUp:
				return errors.New("capture does not take up the copies that the repair needs: is it running? They stay wished for (sluice snapshot list)")
			}
		}
		if len(ids) > 0 && retry.Wait(ctx, pause.Next()) != nil {
			return ctx.Err()
		}
	}
	return nil
}
