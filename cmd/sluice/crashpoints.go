//go:build crashpoints

package main

import (
	"os"

	"github.com/sluicecdc/sluice/internal/crash"
)

var _ = crash.Choose(os.Getenv("SLUICE_CRASH"))
