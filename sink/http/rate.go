package http

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Rate is a number of calls in a time, written as 100/s, 600/m or 5000/h. The zero value does not bound.
type Rate struct {
	Calls int
	Per   time.Duration
}

var rateUnits = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}

// UnmarshalText reads the written form.
func (r *Rate) UnmarshalText(b []byte) error {
	calls, unit, _ := strings.Cut(string(b), "/")
	n, err := strconv.Atoi(strings.TrimSpace(calls))
	per := rateUnits[strings.TrimSpace(unit)]
	if err != nil || n < 1 || per == 0 {
		return fmt.Errorf("%q is not a rate: want calls per s, m or h, such as 100/s", b)
	}
	*r = Rate{n, per}
	return nil
}

// MarshalText writes the form that UnmarshalText reads.
func (r Rate) MarshalText() ([]byte, error) {
	for unit, per := range rateUnits {
		if per == r.Per {
			return []byte(strconv.Itoa(r.Calls) + "/" + unit), nil
		}
	}
	return nil, nil
}

// IsZero tells whether no rate is set.
func (r Rate) IsZero() bool { return r.Calls == 0 }

// gap is the time between two calls.
func (r Rate) gap() time.Duration {
	if r.Calls == 0 {
		return 0
	}
	return r.Per / time.Duration(r.Calls)
}
