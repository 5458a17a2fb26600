package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// isTerminal tells whether a person looks at w.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// colourful tells whether w shows colours (https://no-color.org).
func (a *app) colourful(w io.Writer) bool {
	v, set := a.env("NO_COLOR")
	t, _ := a.env("TERM")
	return isTerminal(w) && !(set && v != "") && t != "dumb"
}
