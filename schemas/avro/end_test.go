package avro

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/linkedin/goavro/v2"
	"pgregory.net/rapid"

	"github.com/sluicecdc/sluice/internal/change"
	"github.com/sluicecdc/sluice/schemas"
)

func drawEnd(t *rapid.T) *End {
	e := &End{
		Status: rapid.SampledFrom([]string{"END", "HEARTBEAT", "GAP"}).Draw(t, "status"), ID: rapid.String().Draw(t, "id"),
		EventCount: rapid.Int64().Draw(t, "events"), TimeMillis: rapid.Int64().Draw(t, "time"),
		Commit: change.LSN(rapid.Uint64().Draw(t, "commit")), Snapshot: rapid.Bool().Draw(t, "snapshot"),
		EndLSN: change.LSN(rapid.Uint64().Draw(t, "end")),
	}
	names := rapid.SliceOfN(rapid.String(), 1, 3)
	if rapid.Bool().Draw(t, "copying") {
		e.Copying, e.Sinks = names.Draw(t, "copied"), names.Draw(t, "sinks")
	}
	if rapid.Bool().Draw(t, "repair") {
		e.Gap = &change.Gap{From: change.LSN(rapid.Uint64().Draw(t, "from")), To: change.LSN(rapid.Uint64().Draw(t, "to")), Reason: rapid.String().Draw(t, "reason")}
		e.Repair = &change.Repair{Gap: change.LSN(rapid.Uint64().Draw(t, "gap")), Tables: rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "repaired")}
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "collections") {
		c := Collection{Name: fmt.Sprintf("public.t%d", i), EventCount: rapid.Int64().Draw(t, "count"), Held: rapid.Int64().Draw(t, "held")}
		if rapid.Bool().Draw(t, "swept") {
			c.Swept = SchemaIDs{rapid.Int32().Draw(t, "key"), rapid.Int32Range(1, 1<<30).Draw(t, "value")}
		}
		for range rapid.IntRange(0, 3).Draw(t, "partitions") {
			c.Partitions = append(c.Partitions, PartitionCount{rapid.Int32().Draw(t, "partition"), rapid.Int64().Draw(t, "records")})
		}
		e.Collections = append(e.Collections, c)
	}
	return e
}

// TestEndIsItsSchema has another Avro library read what we write and write what it read.
func TestEndIsItsSchema(t *testing.T) {
	oracle, err := goavro.NewCodec(schemas.ForTransactions("crm").Value)
	if err != nil {
		t.Fatal(err)
	}
	var again End
	rapid.Check(t, func(t *rapid.T) {
		e := drawEnd(t)
		b := AppendEnd(nil, e)
		native, rest, err := oracle.NativeFromBinary(b)
		if err != nil || len(rest) > 0 {
			t.Fatal(err, len(rest))
		}
		theirs, err := oracle.BinaryFromNative(nil, native)
		if err != nil || !bytes.Equal(theirs, b) {
			t.Fatalf("%v: they write %x, we %x", err, theirs, b)
		}
		if err := DecodeEnd(b, &again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(AppendEnd(nil, &again), b) || again.ID != e.ID || again.Commit != e.Commit || len(again.Collections) != len(e.Collections) ||
			!slices.Equal(again.Copying, e.Copying) || !slices.Equal(again.Sinks, e.Sinks) {
			t.Fatalf("came back as %+v, was %+v", again, e)
		}
	})
}

func TestEndKey(t *testing.T) {
	oracle, err := goavro.NewCodec(schemas.ForTransactions("crm").Key)
	if err != nil {
		t.Fatal(err)
	}
	native, _, err := oracle.NativeFromBinary(AppendEndKey(nil, "7:8"))
	if err != nil || !reflect.DeepEqual(native, map[string]any{"id": "7:8"}) {
		t.Error(native, err)
	}
}

func TestMessages(t *testing.T) {
	p := schemas.ForMessages("crm")
	e := NewMessageEncoder(Options{Source: "crm", Database: "db", KeyID: 1, ValueID: 2})
	c := &change.Change{Op: change.Message, Ordinal: 4, LSN: 99, Prefix: "outbox", Content: []byte{0, 1, 2}}
	framed := e.Envelope(nil, testGroup(), c, Order{1, 1}, 7)
	oracle, err := goavro.NewCodec(p.Value)
	if err != nil {
		t.Fatal(err)
	}
	native, rest, err := oracle.NativeFromBinary(framed[frameLength:])
	if err != nil || len(rest) > 0 {
		t.Fatal(err)
	}
	if m := native.(map[string]any)["message"]; !reflect.DeepEqual(m, map[string]any{"prefix": "outbox", "content": []byte{0, 1, 2}}) {
		t.Error(m)
	}
	d, err := NewDecoder(p.Key, p.Value)
	if err != nil {
		t.Fatal(err)
	}
	var rec Record
	var arena []byte
	if err := d.Envelope(framed[frameLength:], &rec, &arena); err != nil {
		t.Fatal(err)
	}
	if rec.Change.Prefix != c.Prefix || !bytes.Equal(rec.Change.Content, c.Content) || rec.Change.Op != change.Message || rec.Position.Ordinal != 4 || d.Table() != nil {
		t.Errorf("came back as %+v", rec)
	}
	if key := e.Key(nil, "outbox"); string(key) != "\x00\x00\x00\x00\x01\x0coutbox" {
		t.Errorf("key %q", key)
	}
}
