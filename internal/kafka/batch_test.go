package kafka

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go/protocol"
	"pgregory.net/rapid"
)

// TestMurmur2 has the values of Kafka's own UtilsTest.testMurmur2.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "a-little-bit-longer-string": -1486304829,
		"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("%q: %d, want %d", key, got, want)
		}
	}
	if PartitionFor(nil, 7) != 0 || PartitionFor([]byte("foobar"), 7) != int32((-790332482&0x7fffffff)%7) {
		t.Error("the partition is not murmur2's")
	}
}

// pack gives the batch of records as it is sent.
func pack(records []Record) []byte { return packWith(nil, records) }

func packWith(with *packer, records []Record) []byte {
	var b batch
	b.reset(batchHeader + 16)
	b.buf = append(make([]byte, 0, batchHeader+b.measure(records)), b.buf...)
	size := cap(b.buf)
	b.append(records)
	if len(b.buf) != size {
		panic(fmt.Sprintf("measured %d, wrote %d", size, len(b.buf)))
	}
	b.sequence = 7
	if err := b.finish(4000, 3, 0, with); err != nil {
		panic(err)
	}
	return b.wire()
}

// TestGoldenBatch compares with a batch that was laid out by hand after Kafka's documentation, its sum
// computed bit by bit from the polynomial 0x82f63b78.
func TestGoldenBatch(t *testing.T) {
	got := hex.EncodeToString(pack([]Record{
		{TimeMillis: 1_700_000_000_000, Key: []byte("k"), Value: []byte("v1"), Headers: []Header{{"h", []byte{1}}}},
		{TimeMillis: 1_700_000_000_005, Key: []byte("k2")},
	}))
	want := strings.ReplaceAll("0000000000000000 00000048 ffffffff 02 0b67b9c2 0000 00000001 0000018bcfe56800 0000018bcfe56805 "+
		"0000000000000fa0 0003 00000007 00000002 1a 00 00 00 02 6b 04 7631 02 02 68 02 01 10 00 0a 02 04 6b32 01 00", " ", "")
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestKafkaGoReadsOurBatches takes kafka-go's reader as the judge of our writer, and our reader of both.
func TestKafkaGoReadsOurBatches(t *testing.T) {
	packers := map[Compression]*packer{}
	for _, c := range []Compression{CompressNone, CompressLZ4, CompressZstd} {
		var err error
		if packers[c], err = newPacker(c); err != nil {
			t.Fatal(err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		want := drawRecords(t)
		data := packWith(packers[rapid.SampledFrom([]Compression{CompressNone, CompressLZ4, CompressZstd}).Draw(t, "compression")], want)
		compare(t, "kafka-go", want, readByKafkaGo(t, data))
		compare(t, "our reader", want, readByUs(t, data))
		compare(t, "our reader of kafka-go's batch", want, readByUs(t, packByKafkaGo(t, want)))
	})
}

func drawRecords(t *rapid.T) []Record {
	blob := rapid.Custom(func(t *rapid.T) []byte {
		switch rapid.IntRange(0, 3).Draw(t, "kind") {
		case 0:
			return nil
		case 1:
			return []byte{}
		case 2:
			return bytes.Repeat([]byte("long "), rapid.IntRange(1, 50).Draw(t, "times"))
		}
		return rapid.SliceOfN(rapid.Byte(), 1, 80).Draw(t, "bytes")
	})
	records := make([]Record, rapid.IntRange(1, 40).Draw(t, "records"))
	for i := range records {
		r := &records[i]
		r.TimeMillis = rapid.Int64Range(1, 4_000_000_000_000).Draw(t, "time") // kafka-go takes 0 for now
		r.Key, r.Value = blob.Draw(t, "key"), blob.Draw(t, "value")
		for range rapid.IntRange(0, 3).Draw(t, "headers") {
			r.Headers = append(r.Headers, Header{rapid.String().Draw(t, "name"), blob.Draw(t, "content")})
		}
	}
	return records
}

func readByUs(t *rapid.T, data []byte) []Record {
	cur := cursor{limit: 1 << 20}
	whole, next, err := wholeBatches(append(data, 1, 2, 3), 0)
	if err != nil || len(whole) != len(data) {
		t.Fatalf("%d of %d bytes: %v", len(whole), len(data), err)
	}
	cur.load(whole, nil)
	var out []Record
	for {
		r, err := cur.read()
		if err != nil {
			t.Fatal(err)
		}
		if r == nil {
			break
		}
		out = append(out, r.clone())
	}
	if cur.next != next {
		t.Fatalf("offset %d after the batch, want %d", cur.next, next)
	}
	return out
}

func readByKafkaGo(t *rapid.T, data []byte) []Record {
	var set protocol.RecordSet
	framed := appendInt32(nil, int32(len(data)))
	if _, err := set.ReadFrom(bytes.NewReader(append(framed, data...))); err != nil {
		t.Fatal(err)
	}
	var out []Record
	for {
		r, err := set.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		one := Record{Offset: r.Offset, TimeMillis: r.Time.UnixMilli(), Key: all(t, r.Key), Value: all(t, r.Value)}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, Header{h.Key, h.Value})
		}
		out = append(out, one)
	}
}

func all(t *rapid.T, b protocol.Bytes) []byte {
	if b == nil {
		return nil
	}
	out, err := protocol.ReadAll(b)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func packByKafkaGo(t *rapid.T, records []Record) []byte {
	var list []protocol.Record
	for _, r := range records {
		one := protocol.Record{Time: time.UnixMilli(r.TimeMillis)}
		if r.Key != nil {
			one.Key = protocol.NewBytes(r.Key)
		}
		if r.Value != nil {
			one.Value = protocol.NewBytes(r.Value)
		}
		for _, h := range r.Headers {
			one.Headers = append(one.Headers, protocol.Header{Key: h.Key, Value: h.Value})
		}
		list = append(list, one)
	}
	set := protocol.RecordSet{Version: 2, Records: protocol.NewRecordReader(list...)}
	var out bytes.Buffer
	if _, err := set.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()[4:]
}

func compare(t *rapid.T, who string, want, got []Record) {
	if len(got) != len(want) {
		t.Fatalf("%s: %d records, want %d", who, len(got), len(want))
	}
	for i := range want {
		w, g := want[i], got[i]
		same := g.Offset == int64(i) && g.TimeMillis == w.TimeMillis && len(g.Headers) == len(w.Headers) && equal(g.Key, w.Key) && equal(g.Value, w.Value)
		for j := 0; same && j < len(w.Headers); j++ {
			same = g.Headers[j].Key == w.Headers[j].Key && bytes.Equal(g.Headers[j].Value, w.Headers[j].Value)
		}
		if !same {
			t.Fatalf("%s: record %d is %+v, want %+v", who, i, g, w)
		}
	}
}

// equal also tells null from empty.
func equal(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func TestCorruptBatch(t *testing.T) {
	data := pack([]Record{{Key: []byte("k"), Value: []byte("value")}})
	data[len(data)-3] ^= 1
	cur := cursor{tp: TopicPartition{"orders", 4}, next: 0, limit: 1 << 20}
	cur.load(data, nil)
	_, err := cur.read()
	if err == nil || !strings.Contains(err.Error(), "topic orders partition 4 at offset 0: CRC") {
		t.Fatalf("got %v", err)
	}
}

func TestSequenceWraps(t *testing.T) {
	if got := nextSequence(1<<31-3, 5); got != 2 {
		t.Errorf("got %d, want 2", got)
	}
}

// FuzzCursor: whatever the bytes, an error or records, and never more than was there.
func FuzzCursor(f *testing.F) {
	records := []Record{{TimeMillis: 5, Key: []byte("k"), Value: []byte("v"), Headers: []Header{{"h", nil}}}, {TimeMillis: 7}}
	f.Add(pack(records), int64(0), int64(-1))
	f.Add(append(pack(records), pack(records)...), int64(1), int64(4000))
	f.Fuzz(func(t *testing.T, data []byte, from, producer int64) {
		fixSums(data)
		whole, _, err := wholeBatches(data, from)
		if err != nil {
			return
		}
		cur := cursor{next: from, limit: 1 << 16}
		cur.load(whole, []aborted{{producer, 0}})
		for n := 0; ; n++ {
			r, err := cur.read()
			if err != nil || r == nil {
				return
			}
			if n > len(data)+1<<16 {
				t.Fatal("more records than bytes")
			}
		}
	})
}

// fixSums makes the sums right, so that what is behind them is tried.
func fixSums(data []byte) {
	for len(data) > 0 {
		b, rest, err := splitBatch(data)
		if err != nil {
			return
		}
		setSum(b)
		data = rest
	}
}

// FuzzFetchAnswer: whatever the bytes, an error or parts that are views of them.
func FuzzFetchAnswer(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, data []byte) {
		c := conn{broker: "b"}
		c.eachFetched(data, func(p *fetched) error {
			if len(p.data) > len(data) {
				t.Fatal("more data than the answer holds")
			}
			return nil
		})
		r := request{items: []item{{to: &Partition{topic: "t"}}}}
		r.decode(data)
	})
}
