package main

import (
	"io"
	"log/slog"
)

// logger gives the log of a process: text for people, or JSON for collectors.
func (a *app) logger() *slog.Logger { return newLogger(a.err, a.cli.LogFormat, a.cli.LogLevel) }

func newLogger(w io.Writer, format, level string) *slog.Logger {
	var least slog.Level
	if err := least.UnmarshalText([]byte(level)); err != nil {
		least = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: least}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
