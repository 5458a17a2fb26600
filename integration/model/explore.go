// Package model is a small model of how sluice delivers, explored exhaustively: every order of steps, with crashes,
// frozen processes, lost answers and late requests at every place, within a bound of faults. Each rule of the design can
// be taken away, and then a counterexample must be found: what a rule is good for is shown by what happens without it.
package model

import "fmt"

// Step is a state that can follow another.
type Step[S comparable] struct {
	Name string
	To   S
}

// System is a model: states, their steps, and what must hold in each.
type System[S comparable] struct {
	Start S
	Next  func(S) []Step[S]
	// Check says what is wrong with a state. quiet tells that no step but a fault leads on.
	Check func(s S, quiet bool) error
	// Fault tells whether a step is one: faults need not happen.
	Fault func(name string) bool
}

// Counterexample is a way to a state that must not be.
type Counterexample struct {
	Steps []string
	Err   error
}

func (c *Counterexample) Error() string {
	text := c.Err.Error() + ", after:"
	for i, s := range c.Steps {
		text += fmt.Sprintf("\n  %2d. %s", i+1, s)
	}
	return text
}

// Explore visits every state breadth first. It gives how many there are and the shortest counterexample, nil when all
// hold.
func (m System[S]) Explore() (states int, found *Counterexample) {
	type origin struct {
		from S
		step string
	}
	seen := map[S]origin{m.Start: {}}
	queue := []S{m.Start}
	way := func(s S) (steps []string) {
		for s != m.Start {
			o := seen[s]
			steps = append([]string{o.step}, steps...)
			s = o.from
		}
		return steps
	}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		next := m.Next(s)
		quiet := true
		for _, n := range next {
			quiet = quiet && m.Fault(n.Name)
		}
		if err := m.Check(s, quiet); err != nil {
			return len(seen), &Counterexample{way(s), err}
		}
		for _, n := range next {
			if _, known := seen[n.To]; !known {
				seen[n.To] = origin{s, n.Name}
				queue = append(queue, n.To)
			}
		}
	}
	return len(seen), nil
}

// set gives rules to look up.
func set(rules []string) map[string]bool {
	all := map[string]bool{}
	for _, r := range rules {
		all[r] = true
	}
	return all
}
