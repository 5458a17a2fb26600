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
		"sluice":         "defaults; registry embedded, 3 partitions, acks=all, no compression; capture and sink in processes of their own",
		"kafka":          "one real broker on the same machine, " + strings.Join(brokerJVM, " "),
		"pg_recvlogical": "proto_version=1, binary, --fsync-interval 0, -f /dev/null",
		"null reader":    "proto_version 1, binary, logical_decoding_work_mem=512MB, adaptive reads; looks at the framing only",
		"native":         nativeSettings,
		"rows":           fmt.Sprintf("seed %d; tables of 8 columns, in H of 50", seed),
		"postgresql":     "two servers of version 15, source and destination, on the same machine",
	}
	if p.peers {
		settings["debezium"] = debeziumSettings
	}
	for k, v := range brokerSettings {
		settings["kafka "+k] = v
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

func (r *report) header() {
	w := io.MultiWriter(os.Stdout, &r.text)
	fmt.Fprintln(w, r.Machine)
	for _, k := range slices.Sorted(maps.Keys(r.Settings)) {
		fmt.Fprintf(w, "  %-38s %s\n", k, r.Settings[k])
	}
}

// add tells a result and saves all there are: what is measured is kept, whatever comes after.
func (r *report) add(res result) error {
	r.Results = append(r.Results, res)
	res.write(io.MultiWriter(os.Stdout, &r.text), r.plan.runs)
	return r.save()
}

func (r *result) write(w io.Writer, runs int) {
	fmt.Fprintf(w, "\n%s: %s", r.Workload, r.Title)
	if r.Rows > 0 {
		fmt.Fprintf(w, ", %d rows", r.Rows)
	}
	fmt.Fprintf(w, "; median (least to most) of %d runs, in turn\n", runs)
	for _, s := range r.Runs {
		r.writeContender(w, s)
	}
	for _, l := range r.Latencies {
		fmt.Fprintf(w, "  %s, commit to %s %s: p50 %s ms, p99 %s ms, most %s ms\n", l.Contender, l.To, l.When,
			spreadOf(l.Runs, func(p percentiles) float64 { return p.P50 }).text("%.1f"),
			spreadOf(l.Runs, func(p percentiles) float64 { return p.P99 }).text("%.1f"),
			spreadOf(l.Runs, func(p percentiles) float64 { return p.Most }).text("%.1f"))
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  %s\n", n)
	}
}

// writeContender tells rate, then what servers and then what its own processes have used: by row, or in all where a
// load is followed.
func (r *result) writeContender(w io.Writer, s samples) {
	fmt.Fprintf(w, "  %-38s", s.Contender)
	per, unit := float64(r.Rows)/1e6, "µs/row"
	if r.Rows > 0 {
		fmt.Fprintf(w, " %s rows/s", r.rate(s.Samples).text("%.0f"))
	} else {
		per, unit = 1, "s in all"
	}
	if start := spreadOf(s.Samples, func(x sample) float64 { return x.Start }).median; start > 0 {
		fmt.Fprintf(w, " after %.1f s", start)
	}
	if other := r.by(s.Against); r.Rows > 0 && other != nil {
		fmt.Fprintf(w, ", %.2f of %s", r.rate(s.Samples).median/r.rate(other).median, s.Against)
	}
	cpu := func(of func(servers) float64) float64 {
		return spreadOf(s.Samples, func(x sample) float64 { return of(x.Servers) / per }).median
	}
	fmt.Fprintf(w, "\n    %-36s CPU source %.2f, broker %.2f, destination %.2f %s", "servers",
		cpu(func(x servers) float64 { return x.Source }), cpu(func(x servers) float64 { return x.Broker }),
		cpu(func(x servers) float64 { return x.Destination }), unit)
	if bytes := cpu(func(x servers) float64 { return float64(x.BrokerBytes) / 1e6 }); r.Rows > 0 && bytes > 0 {
		fmt.Fprintf(w, "; %.0f bytes/row at the broker", bytes)
	}
	fmt.Fprintln(w)
	for i, own := range s.Samples[0].Own {
		fmt.Fprintf(w, "    %-36s CPU %s %s, peak %s MB\n", own.Process,
			spreadOf(s.Samples, func(x sample) float64 { return x.Own[i].CPU / per }).text("%.2f"), unit,
			spreadOf(s.Samples, func(x sample) float64 { return x.Own[i].PeakMB }).text("%.0f"))
	}
}

// save keeps the report as text, as JSON and as a plot.
func (r *report) save() error {
	if err := os.MkdirAll(r.plan.out, 0o755); err != nil {
		return err
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"bench.txt": r.text.String(), "bench.json": string(b) + "\n", "bench.svg": plot(r)} {
		if err := os.WriteFile(filepath.Join(r.plan.out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
