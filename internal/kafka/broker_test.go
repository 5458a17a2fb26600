package kafka

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// broker is a real Kafka broker of a test.
type broker struct {
	t        testing.TB
	dir      string
	addr     string
	settings []string
	libs     string
	cmd      *exec.Cmd
}

// startBroker starts a broker with extra settings, or skips the test where there is none.
func startBroker(t testing.TB, settings ...string) *broker {
	t.Helper()
	libs := os.Getenv("SLUICE_KAFKA_LIBS")
	if _, err := exec.LookPath("java"); err != nil || libs == "" {
		if os.Getenv("SLUICE_REQUIRE_SERVERS") == "1" {
			t.Fatal("java and SLUICE_KAFKA_LIBS (a folder with Kafka's jars) are needed")
		}
		t.Skip("no Kafka broker: set SLUICE_KAFKA_LIBS to a folder with Kafka's jars")
	}
	b := &broker{t: t, dir: t.TempDir(), addr: freeAddr(t), libs: libs, settings: settings}
	b.configure()
	b.tool("kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", b.file())
	b.start()
	t.Cleanup(b.kill)
	return b
}

func (b *broker) file() string { return filepath.Join(b.dir, "server.properties") }

func (b *broker) configure() {
	lines := append([]string{
		"process.roles=broker,controller", "node.id=1", "controller.listener.names=CONTROLLER",
		"listeners=PLAINTEXT://" + b.addr + ",CONTROLLER://" + freeAddr(b.t), "log.dirs=" + filepath.Join(b.dir, "data"),
		"offsets.topic.replication.factor=1", "offsets.topic.num.partitions=1", "transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1", "transaction.state.log.num.partitions=1", "share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1", "group.initial.rebalance.delay.ms=0", "auto.create.topics.enable=false",
		"log.cleaner.dedupe.buffer.size=4194304", "broker.session.timeout.ms=1500", "broker.heartbeat.interval.ms=300",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms=1000",
	}, b.settings...)
	for _, l := range lines {
		if rest, ok := strings.CutPrefix(l, "listeners=PLAINTEXT://"); ok {
			_, controller, _ := strings.Cut(rest, ",CONTROLLER://")
			lines = append(lines, "controller.quorum.voters=1@"+controller)
		}
	}
	if err := os.WriteFile(b.file(), []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

func (b *broker) tool(class string, args ...string) {
	b.t.Helper()
	out, err := exec.Command("java", append([]string{"-cp", b.libs + "/*", class}, args...)...).CombinedOutput()
	if err != nil {
		b.t.Fatalf("%s: %v\n%s", class, err, out)
	}
}

func (b *broker) start() {
	b.t.Helper()
	b.cmd = exec.Command("java", "-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-cp", b.libs+"/*", "kafka.Kafka", b.file())
	b.cmd.Stdout, b.cmd.Stderr = io.Discard, io.Discard
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c, err := Open(ctx, Config{Brokers: Brokers{b.addr}}, quiet())
	if err != nil {
		b.t.Fatalf("broker did not start: %v", err)
	}
	c.Close()
}

// kill ends the broker as kill -9 does.
func (b *broker) kill() {
	if b.cmd != nil && b.cmd.Process != nil {
		b.cmd.Process.Kill()
		b.cmd.Wait()
		b.cmd = nil
	}
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// open gives a client to the broker at addr.
func open(t testing.TB, addr string) *Client {
	t.Helper()
	c, err := Open(timeout(t, time.Minute), Config{Brokers: Brokers{addr}}, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// testLog writes to the test's log.
func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func timeout(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// topic creates a topic with a name of its own.
func topic(t testing.TB, c *Client, partitions int, compacted bool) string {
	t.Helper()
	name := fmt.Sprintf("t%d", time.Now().UnixNano())
	if _, err := c.EnsureTopics(timeout(t, time.Minute), []Topic{{Name: name, Partitions: partitions, Compacted: compacted}}); err != nil {
		t.Fatal(err)
	}
	return name
}

// fenced gives a producer and the partitions of one topic.
func fenced(t testing.TB, c *Client, id, topic string) (*Producer, []*Partition) {
	t.Helper()
	p, err := c.NewProducer(timeout(t, time.Minute), ProducerConfig{TransactionalID: id})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	handles, err := p.Fence(timeout(t, time.Minute), []string{topic})
	if err != nil {
		t.Fatal(err)
	}
	return p, handles[topic]
}

// values reads all values of a topic, by partition.
func values(t testing.TB, c *Client, topic string) map[int32][]string {
	t.Helper()
	out := map[int32][]string{}
	err := c.ReadAll(timeout(t, time.Minute), topic, func(p int32, r *Record) error {
		out[p] = append(out[p], string(bytes.Clone(r.Value)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
