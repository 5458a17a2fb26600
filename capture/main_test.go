package capture

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain looks for goroutines that outlive a capture.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }
