package main

import (
	"errors"

	"github.com/alecthomas/kong"

	"github.com/sluicecdc/sluice/internal/config"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong arguments or configuration
	exitBad    = 3 // the question was answered, and the answer is bad
)

// errBad is returned by a command that has answered its question on stdout: the answer is bad.
var errBad = errors.New("a fault was found")

// usageError is wrong use of the command line.
type usageError struct{ error }

// exitCode maps what a command returned to the code that the process ends with.
func exitCode(err error) int {
	var (
		parse *kong.ParseError
		file  *config.Error
		usage usageError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errBad):
		return exitBad
	case errors.As(err, &parse), errors.As(err, &file), errors.As(err, &usage):
		return exitUsage
	default:
		return exitFailed
	}
}
