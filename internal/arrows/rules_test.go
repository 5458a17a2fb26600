package arrows

import (
	"path"
	"slices"
	"testing"
)

type rule struct {
	name     string
	sentence string
	broken   func(f *file) string // what the file did, "" for nothing
}

func rules() []rule {
	return []rule{
		{"left", "Code left of Kafka never imports code right of it: they share internal/change and schemas.", left},
		{"right", "Code right of Kafka never imports code left of it: they share internal/change and schemas.", right},
		{"verify", "internal/verify looks at both ends of the path and imports neither side: cmd wires it.", verify},
		{"sinks", "Sinks never import each other, and neither the contract nor the consumer imports a sink: cmd has the switch from kind to constructor.", sinks},
		{"kafka", "Only internal/kafka imports kafka-go.", kafka},
		{"vocabulary", "internal/change is the vocabulary: it imports nothing of ours.", vocabulary},
		{"pure", "Decoders and transforms are pure: no files, no network, no log.", pure},
		{"prometheus", "Prometheus is imported only in files named metrics.go and in the console.", prometheus},
		{"config", "Components own their configuration: internal/config imports them, only cmd imports internal/config.", config},
		{"process", "Flags, environment, signals and the end of the process belong to cmd (and to the benchmark's main).", process},
		{"init", "There is no registration by init(): what exists is wired where it is used.", inits},
		{"testing", "What is for tests and benchmarks stays out of the product.", tools},
	}
}

func imports(what string) string {
	if what == "" {
		return ""
	}
	return "it imports " + what
}

func left(f *file) string {
	if !f.within("capture") || f.test() {
		return ""
	}
	return imports(f.reaches("./sink"))
}

func right(f *file) string {
	if !f.within("sink") || f.test() {
		return ""
	}
	return imports(f.reaches("./capture"))
}

func verify(f *file) string {
	if !f.within("internal/verify") {
		return ""
	}
	return imports(f.reaches("./capture", "./sink"))
}

// sinks looks at the folders beside sink/consume and sink/sinktest, each of which is a destination.
func sinks(f *file) string {
	if !f.within("sink") {
		return ""
	}
	for _, i := range f.imports {
		other := below(i, "./sink") && path.Dir(i) == "sink" && !shared(i) && !below("./"+f.folder, i)
		if other && !f.test() {
			return imports(i)
		}
	}
	return ""
}

func shared(i string) bool { return i == "./sink/consume" || i == "./sink/sinktest" }

func kafka(f *file) string {
	if f.within("internal/kafka", "internal/deps") {
		return ""
	}
	return imports(f.reaches("github.com/segmentio/kafka-go"))
}

func vocabulary(f *file) string {
	if !f.within("internal/change") {
		return ""
	}
	for _, i := range f.imports {
		if below(i, ".") && !below(i, "./internal/change") {
			return imports(i)
		}
	}
	return ""
}

func pure(f *file) string {
	if !f.within("capture/pgoutput", "schemas/avro", "transform") || f.test() {
		return ""
	}
	if slices.Contains(f.imports, "net") { // net/netip is values only
		return imports("net")
	}
	return imports(f.reaches("os", "net/http", "log", "database", "github.com/jackc/pgx", "./internal/kafka"))
}

func prometheus(f *file) string {
	if f.name() == "metrics.go" || f.test() || f.within("internal/console", "internal/deps") {
		return ""
	}
	return imports(f.reaches("github.com/prometheus"))
}

func config(f *file) string {
	if f.within("cmd", "internal/config") || f.test() {
		return ""
	}
	return imports(f.reaches("./internal/config"))
}

func process(f *file) string {
	if f.within("cmd", "bench", "integration", "sink/sinktest", "internal/deps") || f.test() {
		return ""
	}
	if what := f.calling("os.Exit", "os.Getenv", "os.LookupEnv", "signal.Notify", "signal.NotifyContext"); what != "" {
		return "it uses " + what
	}
	return imports(f.reaches("flag", "github.com/alecthomas/kong"))
}

func inits(f *file) string {
	if f.inits {
		return "it declares init()"
	}
	return ""
}

func tools(f *file) string {
	if f.test() || f.within("bench", "integration", "sink/sinktest") {
		return ""
	}
	return imports(f.reaches("testing", "./integration", "./bench", "./sink/sinktest"))
}

// TestRulesCatch plants one fault for each rule.
func TestRulesCatch(t *testing.T) {
	const us = `"` + module
	for _, c := range []struct{ path, source, want string }{
		{"capture/x.go", `import ` + us + `sink"`, "left"},
		{"capture/publish/x.go", `import ` + us + `sink/consume"`, "left"},
		{"sink/postgres/x.go", `import ` + us + `capture/pgoutput"`, "right"},
		{"internal/verify/x.go", `import ` + us + `sink"`, "verify"},
		{"sink/postgres/x.go", `import ` + us + `sink/mysql"`, "sinks"},
		{"sink/x.go", `import ` + us + `sink/postgres"`, "sinks"},
		{"sink/consume/x.go", `import ` + us + `sink/postgres"`, "sinks"},
		{"sink/consume/x.go", `import "github.com/segmentio/kafka-go/protocol"`, "kafka"},
		{"internal/change/x.go", `import ` + us + `schemas"`, "vocabulary"},
		{"capture/pgoutput/x.go", `import "log/slog"`, "pure"},
		{"capture/x.go", `import "github.com/prometheus/client_golang/prometheus"`, "prometheus"},
		{"capture/x.go", `import ` + us + `internal/config"`, "config"},
		{"capture/x.go", `import "os"; func f() { os.Exit(1) }`, "process"},
		{"sink/x.go", `import "os"; var x = os.Getenv("X")`, "process"},
		{"internal/console/x.go", `import "flag"`, "process"},
		{"cmd/sluice/x.go", `func init() {}`, "init"},
		{"internal/localpg/x.go", `import "testing"`, "testing"},
		{"cmd/sluice/demo.go", `import ` + us + `integration/harness"`, "testing"},
	} {
		f, err := parse(c.path, "package x; "+c.source)
		if err != nil {
			t.Fatal(err)
		}
		if got := brokenBy(f); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s with %s breaks the rules %v, want %s", c.path, c.source, got, c.want)
		}
	}
	for _, c := range []struct{ path, source string }{
		{"capture/x.go", `import ` + us + `internal/change"`},
		{"capture/metrics.go", `import "github.com/prometheus/client_golang/prometheus"`},
		{"sink/postgres/x.go", `import ` + us + `sink"`},
		{"sink/postgres/x_test.go", `import ` + us + `sink/sinktest"`},
		{"internal/kafka/x.go", `import "github.com/segmentio/kafka-go"`},
		{"internal/change/x.go", `type t struct{}; func (t) init() {}`},
		{"cmd/sluice/main.go", `import "os"; func f() { os.Exit(1) }`},
	} {
		f, err := parse(c.path, "package x; "+c.source)
		if err != nil {
			t.Fatal(err)
		}
		if got := brokenBy(f); len(got) > 0 {
			t.Errorf("%s with %s breaks the rules %v, want none", c.path, c.source, got)
		}
	}
}

func brokenBy(f *file) (names []string) {
	for _, r := range rules() {
		if r.broken(f) != "" {
			names = append(names, r.name)
		}
	}
	return names
}
