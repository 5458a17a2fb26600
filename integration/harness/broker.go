package harness

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/internal/process"
)

// clusterID is any 16 bytes in base64; one for all clusters, since they never meet.
const clusterID = "c2x1aWNlLXRlc3RzLWsxMQ"

// broker is one node: its ports and folder outlive its process.
type broker struct {
	id               int
	port, controller int
	more             map[string]int // ports of further listeners
	dir, log         string
	proc             *process.Process
}

func newBroker(id int, dir string) (*broker, error) {
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	controller, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	return &broker{id: id, port: port, controller: controller, dir: dir, log: dir + ".log"}, os.Mkdir(dir, 0o755)
}

func (n *broker) addr() string { return fmt.Sprintf("127.0.0.1:%d", n.port) }

// smallJVM starts quickly and stays small; the C1 compiler alone halves the start.
func smallJVM() []string {
	return []string{"-Xms256m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
}

// kafkaDefaults are a node's settings: KRaft, short sessions so that a killed broker is soon missed and
// soon back, and no topic that was not created on purpose.
func kafkaDefaults(n *broker, all []*broker) map[string]string {
	var voters []string
	for _, v := range all {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", v.id, v.controller))
	}
	replicas := fmt.Sprint(min(3, len(all)))
	return map[string]string{
		"process.roles":                            "broker,controller",
		"node.id":                                  fmt.Sprint(n.id),
		"controller.quorum.voters":                 strings.Join(voters, ","),
		"listeners":                                fmt.Sprintf("PLAINTEXT://127.0.0.1:%d,CONTROLLER://127.0.0.1:%d", n.port, n.controller),
		"advertised.listeners":                     fmt.Sprintf("PLAINTEXT://127.0.0.1:%d", n.port),
		"listener.security.protocol.map":           "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.listener.names":                "CONTROLLER",
		"inter.broker.listener.name":               "PLAINTEXT",
		"log.dirs":                                 filepath.Join(n.dir, "data"),
		"auto.create.topics.enable":                "false",
		"offsets.topic.replication.factor":         replicas,
		"offsets.topic.num.partitions":             "5",
		"transaction.state.log.replication.factor": replicas,
		"transaction.state.log.num.partitions":     "5",
		"transaction.state.log.min.isr":            "1",
		"group.initial.rebalance.delay.ms":         "0",
		"log.cleaner.dedupe.buffer.size":           "4194304",
		// Less than the 10 MiB of the default: the first write into what is prepared for an index costs a new kernel 10 ms.
		"log.index.size.max.bytes":                                    "1048576",
		"broker.session.timeout.ms":                                   "1500",
		"broker.heartbeat.interval.ms":                                "300",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
	}
}

// listen adds listeners.
func (n *broker) listen(settings map[string]string, more map[string]Listener) error {
	n.more = map[string]int{}
	for name, l := range more {
		port, err := process.FreePort()
		if err != nil {
			return err
		}
		n.more[name] = port
		own := fmt.Sprintf("127.0.0.1:%d", port)
		settings["listeners"] += fmt.Sprintf(",%s://%s", name, own)
		settings["advertised.listeners"] += fmt.Sprintf(",%s://%s", name, cmp.Or(l.Address, own))
		settings["listener.security.protocol.map"] += fmt.Sprintf(",%s:%s", name, cmp.Or(l.Protocol, "PLAINTEXT"))
	}
	return nil
}

// prepare writes the settings and formats the storage. The storage tool takes a second, so what it
// writes for plain nodes is kept in the cache and copied.
func (c *Cluster) prepare(ctx context.Context, cache cacheFolder, n *broker, settings map[string]string, format []string) error {
	if err := os.WriteFile(n.config(), properties(settings), 0o644); err != nil {
		return fmt.Errorf("cannot write the settings: %w", err)
	}
	if len(format) > 0 {
		return c.format(ctx, n.config(), format)
	}
	name := fmt.Sprintf("kafka-data-%d-%x", n.id, sha256.Sum256([]byte(c.libs)))[:32]
	template, err := cache.Folder(name, func(dir string) error {
		plain := maps.Clone(settings)
		plain["log.dirs"] = filepath.Join(dir, "data")
		config := filepath.Join(dir, "server.properties")
		if err := os.WriteFile(config, properties(plain), 0o644); err != nil {
			return fmt.Errorf("cannot write the settings: %w", err)
		}
		return c.format(ctx, config, nil)
	})
	if err != nil {
		return err
	}
	return os.CopyFS(settings["log.dirs"], os.DirFS(filepath.Join(template, "data")))
}

func (n *broker) config() string { return filepath.Join(n.dir, "server.properties") }

func properties(settings map[string]string) []byte {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		fmt.Fprintf(&text, "%s=%s\n", name, settings[name])
	}
	return []byte(text.String())
}

func (c *Cluster) format(ctx context.Context, config string, more []string) error {
	args := append([]string{"-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp", c.libs + "/*",
		"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", config}, more...)
	out, err := exec.CommandContext(ctx, "java", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("cannot format Kafka's storage: %w: %s", err, out)
	}
	return nil
}

func (c *Cluster) launch(n *broker) error {
	java, err := exec.LookPath("java")
	if err != nil {
		return errNoJava
	}
	args := append(slices.Clone(c.jvm), "-cp", c.libs+"/*", "kafka.Kafka", n.config())
	n.proc, err = process.Start(process.Spec{Path: java, Args: args, Dir: n.dir, Log: n.log})
	return err
}

// brokerTime bounds the start of a cluster on a busy machine of two cores.
const brokerTime = 90 * time.Second

// awaitAll waits until each running broker answers and knows all running brokers.
func (c *Cluster) awaitAll(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, brokerTime)
	defer cancel()
	for _, n := range c.running() {
		err := n.proc.Await(ctx, func(ctx context.Context) error { return n.knows(ctx, len(c.running())) })
		if err != nil {
			return fmt.Errorf("cannot start Kafka broker %d: %w: %s", n.id, err, tail(n.log, 0))
		}
	}
	return nil
}

func (c *Cluster) running() []*broker {
	var up []*broker
	for _, n := range c.nodes {
		select {
		case <-n.proc.Done():
		default:
			up = append(up, n)
		}
	}
	return up
}

var errStarting = errors.New("the broker does not know all others yet")

func (n *broker) knows(ctx context.Context, brokers int) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(n.addr()), kgo.RequestRetries(0), kgo.DialTimeout(time.Second))
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	res, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client.SeedBrokers()[0])
	if err != nil {
		return err
	}
	if len(res.Brokers) < brokers {
		return errStarting
	}
	return nil
}
