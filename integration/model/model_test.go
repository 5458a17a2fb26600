package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// heldBy names, for each rule, where the code has it and the test that fails without it: where model and code could
// part, a person who changes the one is led to the other.
var heldBy = map[string]struct{ code, test string }{
	RuleFence:   {"internal/kafka/fence.go", "internal/kafka/delivery_test.go:TestAnEarlierOwnerIsRefusedOnEveryPartition"},
	RuleTail:    {"capture/publish/stream.go", "capture/publish/progress_test.go:TestSeenPassesEachTailOnce"},
	RuleConfirm: {"capture/progress.go", "capture/resume_test.go:TestNothingIsConfirmedBeforeItIsDurable"},
	RuleSameSeq: {"internal/kafka/partition.go", "internal/kafka/delivery_test.go:TestCutConnections"},
	RuleWarm:    {"internal/kafka/partition.go", "internal/kafka/append_test.go:TestOneBatchUntilTheFirstAcknowledgement"},
	RuleInside:  {"sink/postgres/apply.go", "sink/postgres/kill_test.go:TestKilledInTheMiddle"},
	RuleEpoch:   {"sink/postgres/apply.go", "sink/sinktest/durable.go:testFenced"},
	RuleWhole:   {"sink/consume/group.go", "sink/consume/consumer_test.go:TestRandomGroupsComeWholeAndInOrder"},
	RuleWindow:  {"capture/window.go", "capture/copies_test.go:TestCopiesAmongWrites"},
	RulePlace:   {"capture/merge.go", "capture/copies_test.go:TestCopiesAmongWrites"},
	RuleSeen:    {"capture/window.go", "capture/copies_test.go:TestCopiesAmongWrites"},
}

// explore wants a model to hold, and a counterexample for each rule that is taken away.
func explore[S comparable](t *testing.T, whole System[S], without func(rule string) System[S], rules ...string) {
	t.Helper()
	states, found := whole.Explore()
	if found != nil {
		t.Fatal(found)
	}
	t.Logf("%d states, all hold", states)
	for _, rule := range rules {
		states, found := without(rule).Explore()
		if found == nil {
			t.Errorf("without the rule %q nothing goes wrong in %d states", rule, states)
			continue
		}
		t.Logf("without the rule %q: %s", rule, found.Error())
	}
}

func TestDelivery(t *testing.T) {
	explore(t, Delivery(2), func(rule string) System[delivery] { return Delivery(3, rule) }, RuleFence, RuleTail, RuleConfirm, RuleSameSeq, RuleWarm)
}

func TestApplication(t *testing.T) {
	explore(t, Application(4), func(rule string) System[application] { return Application(2, rule) }, RuleInside, RuleEpoch, RuleWhole)
}

func TestCopying(t *testing.T) {
	explore(t, Copying(), func(rule string) System[copying] { return Copying(rule) }, RuleWindow, RulePlace, RuleSeen)
}

// TestRulesStandInTheCode wants the code and the test of each rule to be there.
func TestRulesStandInTheCode(t *testing.T) {
	root := filepath.Join("..", "..")
	for rule, at := range heldBy {
		if _, err := os.Stat(filepath.Join(root, at.code)); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
		file, name, _ := strings.Cut(at.test, ":")
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil || !strings.Contains(string(text), "func "+name+"(") {
			t.Errorf("%s: %s has no test %s (%v)", rule, file, name, err)
		}
	}
}
