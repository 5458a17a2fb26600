package config

import "regexp"

// later lists keys that the design names and that this version cannot obey yet. They are refused
// with their own sentence, since a filter or a lock that is ignored would be worse than none.
var later = []struct {
	path *regexp.Regexp
	what string
}{
	{regexp.MustCompile(`^sinks\.[^.]+\.lock$`), "locking synced columns at the destination"},
}

// notYet says what a key of a later version stands for.
func notYet(path string) (string, bool) {
	for _, l := range later {
		if l.path.MatchString(path) {
			return l.what, true
		}
	}
	return "", false
}
