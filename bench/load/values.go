package load

import (
	"fmt"
	"strings"
)

// nullShare is how many of a hundred values are NULL.
const nullShare = 15

// null gives the value, or NULL now and then. Values are drawn before they are dropped, so that the
// generator's course does not depend on it.
func (s *session) null(v any) any {
	if s.chance(nullShare) {
		return nil
	}
	return v
}

func pick[E any](s *session, from []E) E { return from[s.random.IntN(len(from))] }

func (s *session) word() string {
	return pick(s, []string{"amber", "basket", "Çelik", "déjà", "east", "fuß", "green", "harbour", "ink", "jade",
		"kettle", "łąka", "mirror", "naïve", "ocean", "北京", "quay", "rope", "'quoted'", `back\slash`, "tab\there", "line\nbreak", "🚚", ""})
}

func (s *session) words(low, high int) string {
	var words []string
	for range low + s.random.IntN(high-low+1) {
		words = append(words, s.word())
	}
	return strings.Join(words, " ")
}

func (s *session) stage() string { return pick(s, []string{"lead", "trial", "won", "lost", ""}) }

func (s *session) region() string { return pick(s, []string{"north", "south", "east/west", "ö"}) }

func (s *session) email() string { return fmt.Sprintf("user%d@example.org", s.random.IntN(100000)) }

func (s *session) serial() string { return fmt.Sprintf("SN-%04d", s.key()) }

// decimal is a number with that many places, now and then the least that fits numeric(10,3).
func (s *session) decimal(places int) string {
	if s.chance(2) {
		return "-9999999." + strings.Repeat("9", places)
	}
	return fmt.Sprintf("%.*f", places, s.random.NormFloat64()*1000)
}

func (s *session) date() string {
	return fmt.Sprintf("%04d-%02d-%02d", 1900+s.random.IntN(150), 1+s.random.IntN(12), 1+s.random.IntN(28))
}

// moment has microseconds, and lies before 1970 now and then.
func (s *session) moment() string {
	return fmt.Sprintf("%s %02d:%02d:%02d.%06d", s.date(), s.random.IntN(24), s.random.IntN(60), s.random.IntN(60), s.random.IntN(1000000))
}

func (s *session) uuid() string {
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", s.random.Uint32(), s.random.IntN(1<<16), s.random.IntN(1<<12),
		s.random.IntN(1<<12), s.random.Int64N(1<<48))
}

func (s *session) bytes() []byte {
	b := make([]byte, s.random.IntN(64))
	for i := range b {
		b[i] = byte(s.random.Uint32())
	}
	return b
}

func (s *session) tags() []string {
	tags := make([]string, s.random.IntN(4))
	for i := range tags {
		tags[i] = s.word()
	}
	return tags
}

// object holds a number that floating point would change.
func (s *session) object() string {
	return fmt.Sprintf(`{"visits": %d, "exact": %d.%018d, "name": %q, "none": null}`,
		s.random.IntN(100), s.random.IntN(1000), s.random.Int64N(1e18), pick(s, []string{"a", "ü", `q"q`}))
}

// body is mostly long enough to be stored out of line (from 2 kB on), sometimes short.
func (s *session) body() string {
	if s.chance(20) {
		return s.words(1, 5)
	}
	size := 2500 + s.random.IntN(9000)
	var b strings.Builder
	for b.Len() < size {
		fmt.Fprintf(&b, "%016x ", s.random.Uint64())
	}
	return b.String()
}
