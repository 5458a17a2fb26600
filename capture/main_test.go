package capture

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that outlive a capture.
func TestMain(m *testing.M) {
	// The servers that the tests share end with the process.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/sluicecdc/sluice/internal/process.(*Process).hold"))
}
