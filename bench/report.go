package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// result is one workload by all contenders, in the order they ran.
type result struct {
	Workload string    `json:"workload"`
	Title    string    `json:"title"`
	Rows     int64     `json:"rows"`
	Runs     []samples `json:"runs"`
}

type samples struct {
	Contender string   `json:"contender"`
	Samples   []sample `json:"samples"`
}

func (r *result) add(contender string, s sample) {
	for i := range r.Runs {
		if r.Runs[i].Contender == contender {
			r.Runs[i].Samples = append(r.Runs[i].Samples, s)
			return
		}
	}
	r.Runs = append(r.Runs, samples{contender, []sample{s}})
}

// report is a whole call.
type report struct {
	plan     plan
	Machine  string            `json:"machine"`
	Settings map[string]string `json:"settings"`
	Results  []result          `json:"results"`
	text     strings.Builder
}

func newReport(p plan) *report {
	settings := map[string]string{
		"sluice":         "defaults; registry embedded, one table, 3 partitions, acks=all, no compression",
		"kafka":          "one real broker on the same machine, " + strings.Join(brokerJVM, " "),
		"pg_recvlogical": "proto_version=1, --fsync-interval 0, -f /dev/null",
		"rows":           fmt.Sprintf("table orders of 8 columns, seed %d", seed),
	}
	if p.peers {
		settings["debezium"] = debeziumSettings
	}
	for k, v := range postgresSettings {
		settings["postgresql "+k] = v
	}
	return &report{plan: p, Machine: machine(), Settings: settings}
}

// machine describes what the figures were measured on.
func machine() string {
	model := "unknown processor"
	info, _ := os.ReadFile("/proc/cpuinfo") // elsewhere the processor stays unknown
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%d x %s, %s/%s, %s", runtime.NumCPU(), model, runtime.GOOS, runtime.GOARCH, runtime.Version())
}

func (r *report) header(w io.Writer) {
	w = io.MultiWriter(w, &r.text)
	fmt.Fprintln(w, r.Machine)
	for _, k := range slices.Sorted(maps.Keys(r.Settings)) {
		fmt.Fprintf(w, "  %-28s %s\n", k, r.Settings[k])
	}
}

func (r *report) add(w io.Writer, res result) {
	r.Results = append(r.Results, res)
	w = io.MultiWriter(w, &r.text)
	fmt.Fprintf(w, "\n%s: %d %s; median (least to most) of %d drains, in turn\n", res.Workload, res.Rows, res.Title, r.plan.runs)
	fmt.Fprintf(w, "  %-38s %26s %22s %22s %26s\n", "", "rows/s", "CPU µs/row", "peak MB", brokerColumn(res))
	for _, s := range res.Runs {
		rows := float64(res.Rows)
		broker := ""
		if brokerColumn(res) != "" {
			broker = spread("%.2f", s.Samples, func(x sample) float64 { return x.Broker / rows * 1e6 })
		}
		fmt.Fprintf(w, "  %-38s %26s %22s %22s %26s\n", s.Contender,
			spread("%.0f", s.Samples, func(x sample) float64 { return rows / x.Seconds }),
			spread("%.2f", s.Samples, func(x sample) float64 { return x.CPU / rows * 1e6 }),
			spread("%.0f", s.Samples, func(x sample) float64 { return x.PeakMB }), broker)
	}
}

// brokerColumn is the heading of the broker's CPU, empty where it was not measured.
func brokerColumn(res result) string {
	for _, s := range res.Runs {
		for _, x := range s.Samples {
			if x.Broker > 0 {
				return "broker CPU µs/row"
			}
		}
	}
	return ""
}

// spread gives "median (least to most)".
func spread(format string, all []sample, of func(sample) float64) string {
	var v []float64
	for _, s := range all {
		v = append(v, of(s))
	}
	slices.Sort(v)
	return fmt.Sprintf(format+" ("+format+" to "+format+")", v[len(v)/2], v[0], v[len(v)-1])
}

// save keeps the report as text and as JSON.
func (r *report) save() error {
	if err := os.MkdirAll(r.plan.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.plan.out, "bench.txt"), []byte(r.text.String()), 0o644); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.plan.out, "bench.json"), append(b, '\n'), 0o644)
}
