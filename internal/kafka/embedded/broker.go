// Package embedded serves a Kafka broker from inside the process: one node, persisted in a folder, for
// trying sluice out and for small installations. Any Kafka client on the machine can use it.
//
// What it acknowledges is in the operating system's hands: it survives the death of the process, not
// a loss of power, as with a single broker of Kafka's own. It has no login, so it listens on one
// address only.
package embedded

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	lock    *os.File
	addr    string
	once    sync.Once

	failing sync.Once
	failed  atomic.Bool
}

// Start serves what the folder holds (an empty one at first) on listen, host:port. Topics are never
// created by asking for them.
//
// A broker that could not write calls failed, once, and answers nothing any more: it would take what is sent
// again for a duplicate of what it has not kept. The process must end then.
func Start(dir, listen string, log *slog.Logger, failed func(error)) (*Broker, error) {
	if err := checkListen(listen); err != nil {
		return nil, err
	}
	lock, err := lockFolder(dir)
	if err != nil {
		return nil, err
	}
	b := &Broker{lock: lock}
	unstored := func(what string) {
		b.failed.Store(true)
		b.failing.Do(func() {
			failed(fmt.Errorf("the embedded broker cannot write to %s (%s), and has stopped: make room and start again; nothing is lost, "+
				"the source sends again what was not acknowledged", dir, what))
		})
	}
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("sluice-embedded"),
		kfake.DataDir(filepath.Join(dir, "data")),
		kfake.DefaultNumPartitions(3),
		kfake.WithLogger(logger{log, unstored}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, listen) }),
	)
	if err != nil {
		return nil, errors.Join(explain(listen, dir, err), lock.Close())
	}
	b.cluster.Control(b.refuse)
	b.addr = b.cluster.ListenAddrs()[0]
	log.Info("embedded Kafka broker is ready", "listen", b.addr, "folder", dir)
	return b, nil
}

var errFailed = errors.New("the broker has failed")

// refuse ends connections once the broker has failed.
func (b *Broker) refuse(kmsg.Request) (kmsg.Response, error, bool) {
	if !b.failed.Load() {
		return nil, nil, false
	}
	b.cluster.KeepControl()
	return nil, errFailed, true
}

// Addr is where clients connect, host:port.
func (b *Broker) Addr() string { return b.addr }

// Close stops the broker and keeps its data. One that has failed keeps what is on disk, and nothing that it only believes
// to be there.
func (b *Broker) Close() error {
	var err error
	b.once.Do(func() {
		if !b.failed.Load() {
			b.cluster.Close()
		}
		err = b.lock.Close()
	})
	return err
}

// checkListen wants an address that clients can be told: what they connect to is what is listened on.
func checkListen(listen string) error {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("kafka.embedded_listen %q is not an address: want host:port", listen)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return fmt.Errorf("kafka.embedded_listen is %q: the embedded broker has no login and tells clients the address it listens on: "+
			"name one address, for example 127.0.0.1:9092", listen)
	}
	return nil
}

// lockFolder keeps a second process out of the folder; the lock goes with the process.
func lockFolder(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the embedded broker's folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot lock the embedded broker's folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("the embedded broker's folder %s is in use by another process: stop it, or give this one another data_dir", dir), f.Close())
	}
	return f, nil
}

func explain(listen, dir string, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("cannot start the embedded broker: %s is in use: set kafka.embedded_listen to a free address", listen)
	}
	return fmt.Errorf("cannot start the embedded broker from %s on %s: %w", dir, listen, err)
}
