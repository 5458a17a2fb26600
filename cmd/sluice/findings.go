package main

import (
	"fmt"
	"io"

	"github.com/sluicecdc/sluice/internal/config"
)

// marks stand before a finding, with the colour they have on a terminal.
var marks = map[string]struct{ sign, colour string }{
	verdictOK:      {"ok     ", "32"},
	verdictWarning: {"warning", "33"},
	verdictFault:   {"FAULT  ", "31"},
}

// printFindings prints a line for each finding and, below a fault, what fixes it.
func (a *app) printFindings(all []finding) {
	colour := a.colourful(a.out)
	for _, f := range all {
		mark := marks[f.Verdict]
		text := mark.sign
		if colour {
			text = "\x1b[" + mark.colour + "m" + mark.sign + "\x1b[0m"
		}
		fmt.Fprintf(a.out, "%s  %s: %s%s\n", text, f.Part, f.What, because(config.Redact(f.Fault)))
		printFix(a.out, f.Fix)
	}
}

func printFix(w io.Writer, fix string) {
	if fix != "" {
		fmt.Fprintf(w, "         fix: %s\n", fix)
	}
}
