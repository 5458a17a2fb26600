package harness

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicecdc/sluice/internal/process"
)

// KafkaOptions says which cluster to start.
type KafkaOptions struct {
	Brokers   int                 // 0: one
	Settings  map[string]string   // of server.properties, for every broker
	Format    []string            // more arguments of the storage tool, for example --add-scram
	JVM       []string            // instead of the default options of a small, quickly started broker
	Listeners map[string]Listener // of the first broker, by name, beside its own
}

// Listener is a port more.
type Listener struct {
	Protocol string // empty: PLAINTEXT
	Address  string // that clients are sent to, a proxy's; empty: its own
}

// Cluster is a Kafka cluster whose nodes are broker and controller at once. Its methods are for one
// goroutine at a time.
type Cluster struct {
	t      T
	folder *process.Folder
	libs   string
	jvm    []string
	nodes  []*broker
}

// StartKafka starts a cluster for a program that is not a test; Close ends it.
func StartKafka(ctx context.Context, o KafkaOptions) (*Cluster, error) {
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	libs, err := kafkaLibs(ctx, cache)
	if err != nil {
		return nil, err
	}
	folder, err := process.TempFolder("sluice-kafka-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{folder: folder, libs: libs, jvm: o.JVM}
	if c.jvm == nil {
		c.jvm = smallJVM()
	}
	if err := c.start(ctx, cache, o); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Kafka starts a cluster of the test's own, whose brokers it may stop and kill.
func Kafka(t T, o KafkaOptions) *Cluster {
	t.Helper()
	ctx, cancel := background()
	defer cancel()
	c, err := StartKafka(ctx, o)
	must(t, "start Kafka", err)
	c.t = t
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Logf("Kafka: %v", err)
		}
	})
	c.showOnFailure(t)
	return c
}

// SharedKafka gives this test binary's one-broker cluster, for tests that take topics of their own
// (Unique) and do not stop it.
func SharedKafka(t T) *Cluster {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.kafka == nil {
		ctx, cancel := background()
		defer cancel()
		// Nobody kills it, and on a busy machine a short session would have it lose its partitions for seconds.
		c, err := StartKafka(ctx, KafkaOptions{Settings: map[string]string{"broker.session.timeout.ms": "60000"}})
		must(t, "start Kafka", err)
		shared.kafka = c
	}
	shared.kafka.showOnFailure(t)
	return &Cluster{t: t, folder: shared.kafka.folder, nodes: shared.kafka.nodes}
}

func (c *Cluster) showOnFailure(t T) {
	for _, n := range c.nodes {
		showOnFailure(t, fmt.Sprintf("Kafka broker %d", n.id), n.log)
	}
}

// start prepares every node before it starts the first: each must know the others' ports.
func (c *Cluster) start(ctx context.Context, cache cacheFolder, o KafkaOptions) error {
	for id := 1; id <= max(o.Brokers, 1); id++ {
		n, err := newBroker(id, filepath.Join(c.folder.Path, fmt.Sprint(id)))
		if err != nil {
			return err
		}
		c.nodes = append(c.nodes, n)
	}
	for _, n := range c.nodes {
		settings := kafkaDefaults(n, c.nodes)
		if n.id == 1 {
			if err := n.listen(settings, o.Listeners); err != nil {
				return err
			}
		}
		maps.Copy(settings, o.Settings)
		if err := c.prepare(ctx, cache, n, settings, o.Format); err != nil {
			return err
		}
		if err := c.launch(n); err != nil {
			return err
		}
	}
	return c.awaitAll(ctx)
}

// Addrs lists the brokers' addresses.
func (c *Cluster) Addrs() []string {
	var addrs []string
	for _, n := range c.nodes {
		addrs = append(addrs, n.addr())
	}
	return addrs
}

// Listens gives where the first broker listens under a name of KafkaOptions.Listeners.
func (c *Cluster) Listens(name string) string {
	return fmt.Sprintf("127.0.0.1:%d", c.nodes[0].more[name])
}

// LogFile is where broker i (from 0) logs.
func (c *Cluster) LogFile(i int) string { return c.nodes[i].log }

// PID is broker i's process id.
func (c *Cluster) PID(i int) int { return c.nodes[i].proc.PID() }

// DataFolder is where broker i keeps its log.
func (c *Cluster) DataFolder(i int) string { return filepath.Join(c.nodes[i].dir, "data") }

// Kill9 is kill -9 of broker i.
func (c *Cluster) Kill9(i int) { c.nodes[i].proc.Kill() }

// StopBroker stops broker i in an orderly way.
func (c *Cluster) StopBroker(i int) {
	c.t.Helper()
	must(c.t, "stop Kafka", c.stop(c.nodes[i]))
}

// StartBroker starts broker i, which was stopped or killed, on its old ports, and waits until the
// whole cluster answers.
func (c *Cluster) StartBroker(i int) {
	c.t.Helper()
	ctx, cancel := background()
	defer cancel()
	must(c.t, "start Kafka", c.launch(c.nodes[i]))
	must(c.t, "start Kafka", c.awaitAll(ctx))
}

// Restart stops broker i, unless it was killed, and starts it.
func (c *Cluster) Restart(i int) {
	c.t.Helper()
	c.StopBroker(i)
	c.StartBroker(i)
}

// Stop stops all brokers and keeps their data.
func (c *Cluster) Stop() {
	c.t.Helper()
	for i := range c.nodes {
		c.StopBroker(i)
	}
}

// stopTime bounds an orderly stop, which moves leaders first.
const stopTime = 30 * time.Second

func (c *Cluster) stop(n *broker) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	return n.proc.Stop(ctx, syscall.SIGTERM)
}

// Close kills the brokers and removes their data.
func (c *Cluster) Close() error {
	for _, n := range c.nodes {
		if n.proc != nil {
			n.proc.Kill()
		}
	}
	return c.folder.Remove()
}
