package model

import (
	"errors"
	"fmt"
	"strings"
)

// The rules of the way into a destination.
const (
	RuleInside = "the checkpoint commits with its data"
	RuleEpoch  = "a checkpoint is written under the epoch that the sink has taken"
	RuleWhole  = "a group is applied when its END is there"
)

// rowsEach is how many rows a transaction writes, in different tables.
const rowsEach = 2

// sink is one of two processes of the same name.
type sink struct {
	running    bool
	epoch      int8
	at         int8 // transactions that it has applied, as it knows
	wrote      int8 // rows in its open destination transaction
	checkpoint bool // written in it
	owes       bool // data is committed, and its checkpoint comes after (without RuleInside)
}

// application is a state.
type application struct {
	faults     int8
	rows       [transactions][rowsEach]int8 // how often each is there; the tables have no keys
	checkpoint int8
	epoch      int8
	holder     int8 // of the lock of the sink's name: 0 nobody, else 1 + sink
	sinks      [2]sink
}

// Application is two sinks and a destination, without some rules, with at most so many faults.
func Application(faults int8, without ...string) System[application] {
	a := applier{without: set(without)}
	return System[application]{
		Start: application{faults: faults}, Next: a.next, Check: checkApplication,
		Fault: func(name string) bool { return strings.HasPrefix(name, "fault") },
	}
}

type applier struct {
	without map[string]bool
	steps   []Step[application]
}

func (a *applier) add(s application, format string, args ...any) {
	a.steps = append(a.steps, Step[application]{fmt.Sprintf(format, args...), s})
}

func (a *applier) next(s application) []Step[application] {
	a.steps = nil
	for i := range s.sinks {
		if s.sinks[i].running {
			a.breaks(s, i)
			a.goOn(s, i)
		} else if s.holder == 0 && !s.locked(i) {
			a.start(s, i)
		}
	}
	return a.steps
}

func (a *applier) start(s application, i int) {
	s.holder = int8(i + 1)
	s.epoch++
	s.sinks[i] = sink{running: true, epoch: s.epoch, at: s.checkpoint}
	a.add(s, "sink %d takes the lease with epoch %d, behind transaction %d", i, s.epoch, s.checkpoint)
}

// locked tells whether another sink's open transaction has the row of the checkpoint.
func (s *application) locked(i int) bool { return s.sinks[1-i].checkpoint }

func (a *applier) breaks(s application, i int) {
	if s.faults == 0 {
		return
	}
	s.faults--
	lease := s.holder == int8(i+1)
	if lease {
		s.holder = 0
		a.add(s, "fault: the lease of sink %d is given up, and it does not know", i)
	}
	s.sinks[i] = sink{}
	a.add(s, "fault: sink %d dies", i)
}

// goOn gives the next step of a sink that runs.
func (a *applier) goOn(s application, i int) {
	k := &s.sinks[i]
	switch {
	case k.owes:
		if a.without[RuleEpoch] || k.epoch == s.epoch {
			s.checkpoint = k.at
		}
		k.owes = false
		a.add(s, "sink %d writes the checkpoint %d by itself", i, k.at)
	case k.checkpoint:
		a.commit(s, i)
	case k.at == transactions:
		if s.holder == 0 { // it would find out with the next heartbeat
			s.holder = int8(i + 1)
			a.add(s, "sink %d takes the lease again", i)
		}
	case k.wrote < rowsEach:
		k.wrote++
		if a.without[RuleWhole] && k.wrote < rowsEach {
			half := s
			half.rows[k.at][0]++
			half.sinks[i].wrote = 1
			a.add(half, "sink %d commits the first row of transaction %d, whose END is not there", i, k.at+1)
		}
		a.add(s, "sink %d writes a row of transaction %d", i, k.at+1)
	case a.without[RuleInside]:
		a.commit(s, i)
	default:
		a.write(s, i)
	}
}

// write writes the checkpoint into the open transaction.
func (a *applier) write(s application, i int) {
	k := &s.sinks[i]
	switch {
	case s.locked(i):
		return // it waits for the row
	case k.epoch != s.epoch && !a.without[RuleEpoch]:
		*k = sink{}
		a.add(s, "sink %d is fenced: its transaction is rolled back", i)
	default:
		k.checkpoint = true
		a.add(s, "sink %d writes its checkpoint", i)
	}
}

func (a *applier) commit(s application, i int) {
	k := &s.sinks[i]
	for r := range rowsEach {
		s.rows[k.at][r]++
	}
	k.at++
	if k.checkpoint {
		s.checkpoint = k.at
	}
	k.owes = !k.checkpoint
	k.wrote, k.checkpoint = 0, false
	a.add(s, "sink %d commits transaction %d", i, k.at)
}

// checkApplication wants G1, G4 and G5.
func checkApplication(s application, quiet bool) error {
	for t, rows := range s.rows {
		for _, n := range rows {
			if n != rows[0] {
				return fmt.Errorf("half of transaction %d is there: %v (G4)", t+1, rows)
			}
			if n > 1 {
				return fmt.Errorf("transaction %d is there %d times (G1, G5)", t+1, n)
			}
			if n == 0 && int8(t) < s.checkpoint {
				return fmt.Errorf("the checkpoint is %d and transaction %d is not there (G5)", s.checkpoint, t+1)
			}
		}
	}
	if quiet && s.checkpoint < transactions {
		return errors.New("nothing goes on, and not everything is applied")
	}
	return nil
}
