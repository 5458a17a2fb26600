package model

import (
	"errors"
	"fmt"
)

// The rules of rows that are copied beside the stream.
const (
	RuleWindow = "a row is left out that the stream has published newer"
	RulePlace  = "rows are published when the stream has passed the place where they were read"
	RuleSeen   = "what was published before the window must be visible to the snapshot"
)

// versions are the transactions that write one row.
const versions = 3

// copying is a state: one row, versions 0 to 3 of it, and a chunk that holds it.
type copying struct {
	committed int8 // in the log
	visible   int8 // to other sessions: later, where a synchronous standby is waited for
	published int8 // by the stream
	window    bool
	before    int8 // published when the window was opened
	noted     int8 // the newest version that the stream published since
	read      bool
	seen      int8 // the version that was read
	place     int8 // the log's end then
	copied    bool
	topic     int8 // the newest record's version, 1 and more of it; 0: none
	back      int8 // the version that it went back to, likewise
}

// Copying is a row that is copied while it is written, without some rules.
func Copying(without ...string) System[copying] {
	rules := set(without)
	return System[copying]{
		Next:  func(s copying) []Step[copying] { return copySteps(s, rules) },
		Check: checkCopying, Fault: func(string) bool { return false },
	}
}

func copySteps(s copying, without map[string]bool) (steps []Step[copying]) {
	add := func(s copying, format string, args ...any) {
		steps = append(steps, Step[copying]{fmt.Sprintf(format, args...), s})
	}
	if s.committed < versions && s.visible == s.committed { // the row is locked until then
		n := s
		n.committed++
		add(n, "version %d commits", n.committed)
	}
	if s.visible < s.committed {
		n := s
		n.visible++
		add(n, "version %d becomes visible", n.visible)
	}
	if s.published < s.committed {
		n := s
		n.published++
		n.noted = n.published
		n.emit(n.published)
		add(n, "the stream publishes version %d", n.published)
	}
	switch {
	case !s.window:
		n := s
		n.window, n.before, n.noted = true, s.published, 0
		add(n, "the window opens")
	case !s.read && (s.visible >= s.before || without[RuleSeen]):
		n := s
		n.read, n.seen, n.place = true, s.visible, s.committed
		add(n, "the chunk is read: version %d, at %d", n.seen, n.place)
	case s.read && !s.copied && (s.published >= s.place || without[RulePlace]):
		n := s
		n.copied = true
		if n.noted <= n.seen || without[RuleWindow] {
			n.emit(n.seen)
			add(n, "the chunk is published with version %d", n.seen)
		} else {
			add(n, "the chunk is published without the row")
		}
	}
	return steps
}

// emit puts a record into the topic.
func (s *copying) emit(version int8) {
	if version+1 < s.topic {
		s.back = version + 1
	}
	s.topic = version + 1
}

func checkCopying(s copying, quiet bool) error {
	switch {
	case s.back != 0:
		return fmt.Errorf("the topic goes back to version %d (G2)", s.back-1)
	case quiet && s.topic != versions+1:
		return errors.New("the topic does not end with the newest version (G1)")
	}
	return nil
}
