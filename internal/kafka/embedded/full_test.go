package embedded_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluicecdc/sluice/internal/kafka"
	"github.com/sluicecdc/sluice/internal/kafka/embedded"
)

// A broker that could not write says so once and acknowledges nothing any more: what is sent again would be taken for a
// duplicate of what it has not kept.
func TestBrokerThatCannotWrite(t *testing.T) {
	dir, failed := t.TempDir(), make(chan error, 2)
	b, err := embedded.Start(dir, "127.0.0.1:0", testLog(t), func(err error) { failed <- err })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	c := client(t, b.Addr())
	produce(t, c, 0, 10)
	p, err := c.NewProducer(limit(t), kafka.ProducerConfig{TransactionalID: "sluice-hr"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if _, err := c.EnsureTopics(limit(t), []kafka.Topic{{Name: "people", Partitions: 1}}); err != nil {
		t.Fatal(err)
	}
	// A folder in the place of the partition's file is as good as a full disk.
	if err := os.MkdirAll(filepath.Join(dir, "data", "partitions", "people-0", "0.dat"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	if _, err := p.Fence(ctx, []string{"people"}); err == nil {
		t.Error("the fence's marker counts as written")
	}
	select {
	case err := <-failed:
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "nothing is lost") {
			t.Errorf("it says %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody is told")
	}
}
