package pgoutput_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"

	. "github.com/sluicecdc/sluice/capture/pgoutput"
	"github.com/sluicecdc/sluice/internal/change"
)

// golden gives the recorded messages by file.
func golden(t testing.TB) map[string][][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.hex")
	if err != nil || len(files) == 0 {
		t.Fatalf("no recorded messages: %v", err)
	}
	out := map[string][][]byte{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range bytes.Fields(text) {
			b, err := hex.DecodeString(string(line))
			if err != nil {
				t.Fatal(err)
			}
			out[f] = append(out[f], b)
		}
	}
	return out
}

// TestOracle compares every message of real servers with what another parser makes of it.
func TestOracle(t *testing.T) {
	seen := map[Kind]int{}
	for file, messages := range golden(t) {
		streamed := false
		for i, b := range messages {
			want, err := pglogrepl.ParseV2(b, streamed)
			if err != nil {
				t.Fatalf("%s:%d: the oracle: %v", file, i+1, err)
			}
			switch kind := Kind(b[0]); kind {
			case KindStreamStart:
				streamed = true
			case KindStreamStop:
				streamed = false
			default:
				seen[kind]++
			}
			compare(t, file, i+1, b, streamed, want)
		}
	}
	for _, k := range []Kind{KindBegin, KindCommit, KindRelation, KindType, KindInsert, KindUpdate, KindDelete, KindTruncate,
		KindMessage, KindStreamCommit, KindStreamAbort} {
		if seen[k] == 0 {
			t.Errorf("no message %s was recorded", k)
		}
	}
}

func compare(t *testing.T, file string, line int, b []byte, streamed bool, want pglogrepl.Message) {
	t.Helper()
	check := func(err error, same bool) {
		if err != nil || !same {
			t.Errorf("%s:%d: message %s: error %v, same as the oracle %v", file, line, Kind(b[0]), err, same)
		}
	}
	body := b[1:]
	switch w := want.(type) {
	case *pglogrepl.BeginMessage:
		var m Begin
		check(m.Decode(body), m == Begin{Commit: change.LSN(w.FinalLSN), Time: micros(w.CommitTime), XID: w.Xid})
	case *pglogrepl.CommitMessage:
		var m Commit
		check(m.Decode(body), m == Commit{Commit: change.LSN(w.CommitLSN), End: change.LSN(w.TransactionEndLSN), Time: micros(w.CommitTime)})
	case *pglogrepl.RelationMessageV2:
		var m Relation
		check(m.Decode(body, streamed), sameRelation(&m, w))
	case *pglogrepl.TypeMessageV2:
		var m Type
		check(m.Decode(body, streamed), m.OID == w.DataType && string(m.Name) == w.Name && string(m.Schema) == w.Namespace && m.XID == w.Xid)
	case *pglogrepl.InsertMessageV2:
		var m Insert
		check(m.Decode(body, streamed), m.Relation == w.RelationID && m.XID == w.Xid && sameRow(m.New, w.Tuple))
	case *pglogrepl.UpdateMessageV2:
		var m Update
		check(m.Decode(body, streamed), m.Relation == w.RelationID && m.XID == w.Xid && before(w.OldTupleType) == m.Before &&
			sameRow(m.Old, w.OldTuple) && sameRow(m.New, w.NewTuple))
	case *pglogrepl.DeleteMessageV2:
		var m Delete
		check(m.Decode(body, streamed), m.Relation == w.RelationID && m.XID == w.Xid && before(w.OldTupleType) == m.Before && sameRow(m.Old, w.OldTuple))
	case *pglogrepl.TruncateMessageV2:
		var m Truncate
		check(m.Decode(body, streamed), len(m.Relations) == len(w.RelationIDs) && m.Relations[0] == w.RelationIDs[0] &&
			m.Cascade == (w.Option&1 != 0) && m.RestartIdentity == (w.Option&2 != 0) && m.XID == w.Xid)
	case *pglogrepl.LogicalDecodingMessageV2:
		var m Message
		check(m.Decode(body, streamed), m.LSN == change.LSN(w.LSN) && m.Transactional == w.Transactional && string(m.Prefix) == w.Prefix &&
			bytes.Equal(m.Content, w.Content) && m.XID == w.Xid)
	case *pglogrepl.StreamStartMessageV2:
		var m StreamStart
		check(m.Decode(body), m.XID == w.Xid && m.First == (w.FirstSegment == 1))
	case *pglogrepl.StreamStopMessageV2:
		check(new(StreamStop).Decode(body), true)
	case *pglogrepl.StreamCommitMessageV2:
		var m StreamCommit
		check(m.Decode(body), m == StreamCommit{XID: w.Xid, Commit: change.LSN(w.CommitLSN), End: change.LSN(w.TransactionEndLSN), Time: micros(w.CommitTime)})
	case *pglogrepl.StreamAbortMessageV2:
		var m StreamAbort
		check(m.Decode(body), m.XID == w.Xid && m.SubXID == w.SubXid)
	default:
		t.Errorf("%s:%d: the oracle gives a %T", file, line, want)
	}
}

func micros(t time.Time) change.Micros { return change.Micros(t.UnixMicro()) }

func before(tag uint8) change.BeforeKind {
	return map[uint8]change.BeforeKind{'K': change.BeforeKey, 'O': change.BeforeFull}[tag]
}

func sameRow(got change.Row, want *pglogrepl.TupleData) bool {
	if want == nil {
		return len(got) == 0
	}
	if len(got) != len(want.Columns) {
		return false
	}
	for i, c := range want.Columns {
		if byte(got[i].Format) != c.DataType || !bytes.Equal(got[i].Data, c.Data) {
			return false
		}
	}
	return true
}

func sameRelation(m *Relation, w *pglogrepl.RelationMessageV2) bool {
	same := m.XID == w.Xid && m.OID == w.RelationID && m.Schema == w.Namespace && m.Name == w.RelationName &&
		byte(m.Identity) == w.ReplicaIdentity && len(m.Columns) == len(w.Columns)
	for i := range m.Columns {
		c := w.Columns[i]
		same = same && m.Columns[i] == RelationColumn{Name: c.Name, Type: c.DataType, Mod: c.TypeModifier, Key: c.Flags == 1}
	}
	return same
}
