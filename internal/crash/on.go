//go:build crashpoints

package crash

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var (
	chosen string
	left   atomic.Int64
)

// Choose sets the point, before anything else runs. It gives true.
func Choose(point string) bool {
	name, times, _ := strings.Cut(point, "@")
	n, _ := strconv.ParseInt(times, 10, 64) // a test writes it
	left.Store(max(n, 1))
	chosen = name
	return true
}

// At kills the process when the point is the chosen one and its time has come.
func At(name string) {
	if name != chosen || left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
