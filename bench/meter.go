package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// use is what one process has used.
type use struct {
	Process string  `json:"process"`
	CPU     float64 `json:"cpu_seconds"`
	PeakMB  float64 `json:"peak_mb"` // resident
}

// peak follows the greatest resident size of a process that runs. The kernel's count for an ended one may be its
// parent's, from before exec.
type peak struct {
	stop chan struct{}
	mb   chan float64
}

// peakEvery is between two looks: a size that lasts shorter is kept by the kernel (VmHWM) until the next one.
const peakEvery = 20 * time.Millisecond

func watchPeak(pid int) peak {
	p := peak{make(chan struct{}), make(chan float64, 1)}
	go func() {
		tick := time.NewTicker(peakEvery)
		defer tick.Stop()
		last := 0.0
		for {
			last = max(last, peakResident(pid))
			select {
			case <-p.stop:
				p.mb <- last
				return
			case <-tick.C:
			}
		}
	}()
	return p
}

// end gives it in MB, and is called when the process has ended.
func (p peak) end() float64 {
	close(p.stop)
	return <-p.mb
}

// peakResident reads VmHWM of /proc/PID/status (proc(5)), in MB; 0 when the process has ended.
func peakResident(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// used takes what the kernel has counted for an ended process.
func used(name string, cmd *exec.Cmd, p peak) use {
	return use{Process: name, CPU: (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds(), PeakMB: p.end()}
}

// servers is what the servers have used: CPU in seconds, and what a run's topics take at the broker in bytes.
type servers struct {
	Source      float64 `json:"source_cpu_seconds"`
	Destination float64 `json:"destination_cpu_seconds"`
	Broker      float64 `json:"broker_cpu_seconds"`
	BrokerBytes int64   `json:"broker_bytes"`
}

func (b *bench) meter() servers {
	return servers{
		Source:      familyCPU(b.source.PID()),
		Destination: familyCPU(b.destination.PID()),
		Broker:      familyCPU(b.kafka.PID(0)),
	}
}

func (s servers) since(before servers) servers {
	return servers{s.Source - before.Source, s.Destination - before.Destination, s.Broker - before.Broker, s.BrokerBytes}
}

// familyCPU gives the CPU seconds of a process, of its living children and of those it has waited for: a postmaster's
// sessions are its children.
func familyCPU(pid int) float64 {
	total := cpuFields(pid, 11, 15)
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range children {
		text, _ := os.ReadFile(file) // a thread may have ended
		for word := range strings.FieldsSeq(string(text)) {
			child, _ := strconv.Atoi(word)
			total += cpuFields(child, 11, 13)
		}
	}
	return total
}

// cpuFields adds fields of /proc/PID/stat behind the program's name (proc(5): utime, stime, cutime, cstime, in hundredths
// of a second). A process that has ended has none.
func cpuFields(pid, from, to int) (seconds float64) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < to {
		return 0
	}
	for _, f := range fields[from:to] {
		ticks, _ := strconv.ParseFloat(f, 64)
		seconds += ticks / 100
	}
	return seconds
}

// segments adds up the broker's log files of topics that begin with prefix. Its indexes are made in their full size and
// say nothing.
func segments(folder, prefix string) (bytes int64) {
	_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".log" || !strings.HasPrefix(filepath.Base(filepath.Dir(path)), prefix) {
			return nil //nolint:nilerr // what is deleted meanwhile takes no space
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
