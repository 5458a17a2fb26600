package main

import (
	"fmt"
	"slices"
)

// result is one workload by all contenders, in the order they ran.
type result struct {
	Workload  string      `json:"workload"`
	Title     string      `json:"title"`
	Rows      int64       `json:"rows,omitempty"` // 0 where a load is followed and not drained
	Runs      []samples   `json:"runs"`
	Latencies []latencies `json:"latencies,omitempty"`
	Notes     []string    `json:"notes,omitempty"`
}

type samples struct {
	Contender string   `json:"contender"`
	Against   string   `json:"against,omitempty"`
	Samples   []sample `json:"samples"`
}

// latencies are those of one contender, by run.
type latencies struct {
	Contender string        `json:"contender"`
	To        string        `json:"to"`
	When      string        `json:"when"`
	Runs      []percentiles `json:"runs"`
}

// percentiles are in milliseconds.
type percentiles struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	Most  float64 `json:"most"`
}

func (b *bench) newResult(name string, rows int64) result {
	return result{Workload: name, Title: titles[name], Rows: rows}
}

func (r *result) sample(c contender, s sample) {
	for i := range r.Runs {
		if r.Runs[i].Contender == c.name {
			r.Runs[i].Samples = append(r.Runs[i].Samples, s)
			return
		}
	}
	r.Runs = append(r.Runs, samples{c.name, c.against, []sample{s}})
}

// latency notes the seconds of one run.
func (r *result) latency(contender, to, when string, seconds []float64) {
	if len(seconds) == 0 {
		return
	}
	slices.Sort(seconds)
	at := func(q float64) float64 { return 1000 * seconds[int(q*float64(len(seconds)-1))] }
	p := percentiles{len(seconds), at(0.5), at(0.99), at(1)}
	for i, l := range r.Latencies {
		if l.Contender == contender && l.To == to && l.When == when {
			r.Latencies[i].Runs = append(l.Runs, p)
			return
		}
	}
	r.Latencies = append(r.Latencies, latencies{contender, to, when, []percentiles{p}})
}

func (r *result) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// by gives a contender's samples; nil where it did not run.
func (r *result) by(contender string) []sample {
	for _, s := range r.Runs {
		if s.Contender == contender {
			return s.Samples
		}
	}
	return nil
}

// spread is the median and the ends of some figures.
type spread struct{ median, least, most float64 }

func spreadOf[T any](all []T, of func(T) float64) spread {
	var v []float64
	for _, x := range all {
		v = append(v, of(x))
	}
	slices.Sort(v)
	return spread{v[len(v)/2], v[0], v[len(v)-1]}
}

// text gives "median (least to most)".
func (s spread) text(format string) string {
	return fmt.Sprintf(format+" ("+format+" to "+format+")", s.median, s.least, s.most)
}

// rate is in rows a second.
func (r *result) rate(all []sample) spread {
	return spreadOf(all, func(s sample) float64 { return float64(r.Rows) / s.Seconds })
}
