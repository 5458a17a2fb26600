package harness_test

import (
	"os"
	"testing"

	"github.com/sluicecdc/sluice/integration/harness"
)

// TestInstall fills the cache; .ci/servers runs it alone and reads where the cache is.
func TestInstall(t *testing.T) {
	if os.Getenv("SLUICE_REQUIRE_SERVERS") != "1" {
		t.Skip("downloads servers; set SLUICE_REQUIRE_SERVERS=1 to run it")
	}
	dir, err := harness.Install(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("cache: %s", dir)
}
