package config

import "testing"

func TestSize(t *testing.T) {
	for text, want := range map[string]Size{
		"256MiB": 256 << 20, "1 GiB": 1 << 30, "4KiB": 4096, "1000": 1000, "0": 0,
	} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err != nil || s != want {
			t.Errorf("%s is %d, %v; want %d", text, s, err, want)
		}
		var again Size
		if err := again.UnmarshalText([]byte(s.String())); err != nil || again != s {
			t.Errorf("%s comes back as %d, %v", s, again, err)
		}
	}
	for _, text := range []string{"", "MiB", "-1", "1.5MiB", "256MB", "9223372036854775807GiB", "1e3"} {
		var s Size
		if err := s.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is accepted as %d", text, s)
		}
	}
}

func TestNearest(t *testing.T) {
	known := []string{"brokers", "partitions", "deletes", "dsn", "name"}
	for in, want := range map[string]string{"broker": "brokers", "partitons": "partitions", "naem": "name", "dns": "dsn", "zookeeper": "", "x": ""} {
		if got, _ := nearest(in, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", in, got, want)
		}
	}
}
