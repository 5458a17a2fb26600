package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
)

// logger passes the broker's lines on. It speaks of every connection and request at its lower levels,
// which are taken for debugging. That it could not write is known from its lines only.
type logger struct {
	log      *slog.Logger
	unstored func(what string)
}

// Logf writes one line.
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	at := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		at = slog.LevelError
	case kfake.LogLevelWarn:
		at = slog.LevelWarn
	}
	if at >= slog.LevelWarn && strings.HasPrefix(format, "persist ") {
		l.unstored(fmt.Sprintf(format, args...))
	}
	if ctx := context.Background(); l.log.Enabled(ctx, at) {
		l.log.Log(ctx, at, "embedded Kafka broker: "+fmt.Sprintf(format, args...))
	}
}
