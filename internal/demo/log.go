package demo

import (
	"bytes"
	"os"
	"strings"
	"sync"
)

// logFile keeps the pipeline's log in a file and its last lines at hand.
type logFile struct {
	mu   sync.Mutex
	file *os.File
	tail []byte
}

// maxTail bounds what is at hand, in bytes.
const maxTail = 16 << 10

func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, b...)
	if over := len(l.tail) - maxTail; over > 0 {
		l.tail = bytes.Clone(l.tail[over:])
	}
	return l.file.Write(b)
}

// last gives up to n of the last lines.
func (l *logFile) last(n int) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines := strings.Split(strings.TrimSpace(string(l.tail)), "\n")
	return "  " + strings.Join(lines[max(len(lines)-n, 0):], "\n  ")
}
