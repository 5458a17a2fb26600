package embedded_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/kafka/embedded"
)

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }

func start(t *testing.T, dir, listen string) *embedded.Broker {
	t.Helper()
	b, err := embedded.Start(dir, listen, testLog(t), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func client(t *testing.T, addr string) *kafka.Client {
	t.Helper()
	c, err := kafka.Open(limit(t), kafka.Config{Brokers: kafka.Brokers{"embedded"}, EmbeddedListen: addr}, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// produce appends records from..to-1 to partition 0 of orders under a new epoch.
func produce(t *testing.T, c *kafka.Client, from, to int) {
	t.Helper()
	ctx := limit(t)
	if _, err := c.EnsureTopics(ctx, []kafka.Topic{{Name: "orders"}, {Name: "state", Partitions: 1, Compacted: true}}); err != nil {
		t.Fatal(err)
	}
	p, err := c.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: "sluice-crm"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	handles, err := p.Fence(ctx, []string{"orders", "state"})
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		r := kafka.Record{TimeMillis: time.Now().UnixMilli(), Key: []byte("key"), Value: fmt.Appendf(nil, "value %d", i), Headers: []kafka.Header{{Key: "h", Value: []byte("x")}}}
		if err := p.Append(ctx, handles["orders"][0], uint64(i), r); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
}

// want checks that orders holds values 0..n-1.
func want(t *testing.T, c *kafka.Client, n int) {
	t.Helper()
	i := 0
	err := c.ReadAll(limit(t), "orders", func(p int32, r *kafka.Record) error {
		if s := fmt.Sprintf("value %d", i); p != 0 || string(r.Value) != s {
			return fmt.Errorf("got %q where %q was expected", r.Value, s)
		}
		i++
		return nil
	})
	if err != nil || i != n {
		t.Fatalf("read %d of %d records: %v", i, n, err)
	}
}

func TestDataOutlivesARestart(t *testing.T) {
	dir := t.TempDir()
	b := start(t, dir, "127.0.0.1:0")
	produce(t, client(t, b.Addr()), 0, 1000)
	b.Close()

	b = start(t, dir, b.Addr())
	c := client(t, b.Addr())
	want(t, c, 1000)
	produce(t, c, 1000, 1500)
	want(t, c, 1500)
}

func TestLargeRecord(t *testing.T) {
	c := client(t, start(t, t.TempDir(), "127.0.0.1:0").Addr())
	ctx := limit(t)
	produce(t, c, 0, 1)
	p, err := c.NewProducer(ctx, kafka.ProducerConfig{TransactionalID: "large"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	handles, err := p.Fence(ctx, []string{"orders"})
	if err != nil {
		t.Fatal(err)
	}
	big := bytes.Repeat([]byte("x"), 12<<20)
	if err := p.Append(ctx, handles["orders"][1], 1, kafka.Record{TimeMillis: 1, Value: big}); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	tail, err := c.Tail(ctx, "orders", 1)
	if err != nil || len(tail[1]) != 1 || !bytes.Equal(tail[1][0].Value, big) {
		t.Fatalf("the large record did not come back: %v", err)
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	dir := t.TempDir()
	start(t, dir, "127.0.0.1:0")
	_, err := embedded.Start(dir, "127.0.0.1:0", testLog(t), func(err error) { t.Error(err) })
	if err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Fatalf("got %v", err)
	}
}

func TestAddresses(t *testing.T) {
	taken := start(t, t.TempDir(), "127.0.0.1:0")
	for listen, say := range map[string]string{
		"0.0.0.0:9092": "name one address", ":9092": "name one address", "nonsense": "not an address", taken.Addr(): "is in use",
	} {
		_, err := embedded.Start(t.TempDir(), listen, testLog(t), func(err error) { t.Error(err) })
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: got %v, want %q", listen, err, say)
		}
	}
}

func TestKcat(t *testing.T) {
	if _, err := exec.LookPath("kcat"); err != nil {
		t.Skip("kcat is not installed")
	}
	b := start(t, t.TempDir(), "127.0.0.1:0")
	produce(t, client(t, b.Addr()), 0, 100)
	if out := kcat(t, b, "", "-L"); !strings.Contains(out, `topic "orders" with 3 partitions`) {
		t.Errorf("kcat -L: %s", out)
	}
	if out := kcat(t, b, "", "-C", "-t", "orders", "-e", "-q"); strings.Count(out, "value ") != 100 {
		t.Errorf("kcat -C gave %d records", strings.Count(out, "value "))
	}
	kcat(t, b, "from kcat\n", "-P", "-t", "orders", "-p", "1")
	if out := kcat(t, b, "", "-C", "-t", "orders", "-p", "1", "-e", "-q"); out != "from kcat\n" {
		t.Errorf("kcat read back %q", out)
	}
}

func kcat(t *testing.T, b *embedded.Broker, in string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(limit(t), "kcat", append([]string{"-b", b.Addr()}, args...)...)
	cmd.Stdin, cmd.Stderr = strings.NewReader(in), os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat %v: %v", args, err)
	}
	return string(out)
}
