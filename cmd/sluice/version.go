package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
)

// release is set by the linker (-X main.release=v1.2.3) in released builds.
var release string

type versionCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// build says what this binary was made of.
type build struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	Commit  string `json:"commit,omitempty"`
	// Modified says that the working tree differed from the commit.
	Modified bool `json:"modified,omitempty"`
}

func buildOf() build {
	b := build{Version: release, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		b.Version = cmp.Or(b.Version, "unknown")
		return b
	}
	b.Version = cmp.Or(b.Version, strings.Trim(info.Main.Version, "()"), "unknown") // "(devel)" in a checkout
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// Run prints the build.
func (c *versionCmd) Run(a *app) error {
	b := buildOf()
	if c.JSON {
		return json.NewEncoder(a.out).Encode(b)
	}
	commit := cmp.Or(b.Commit, "unknown")
	if b.Modified {
		commit += " (modified)"
	}
	_, err := fmt.Fprintf(a.out, "sluice %s\ngo     %s\ncommit %s\n", b.Version, b.Go, commit)
	return err
}
