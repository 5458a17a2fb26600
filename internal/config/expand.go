package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// Env looks a variable of the environment up, as os.LookupEnv does.
type Env func(name string) (string, bool)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces ${NAME} by the variable, ${file:PATH} by the content of a file without its final
// line break (where container platforms put secrets), and $$ by a dollar. It works on the value of a
// scalar that YAML has been read from already, so whatever a variable holds stays one value.
func expand(s string, env Env) (string, error) {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '$')
		if i < 0 || i == len(s)-1 {
			b.WriteString(s)
			return b.String(), nil
		}
		b.WriteString(s[:i])
		switch s[i+1] {
		case '$':
			b.WriteByte('$')
			s = s[i+2:]
		case '{':
			inner, rest, ok := strings.Cut(s[i+2:], "}")
			if !ok {
				return "", fmt.Errorf("%q has no closing brace: write ${NAME}, or $$ for a dollar", s[i:])
			}
			v, err := lookup(inner, env)
			if err != nil {
				return "", err
			}
			b.WriteString(v)
			s = rest
		default:
			b.WriteByte('$')
			s = s[i+1:]
		}
	}
}

// lookup gives what stands for ${inner}.
func lookup(inner string, env Env) (string, error) {
	if path, ok := strings.CutPrefix(inner, "file:"); ok {
		return readSecret(path)
	}
	if !variableName.MatchString(inner) {
		return "", fmt.Errorf("${%s} is not a variable: write ${NAME} or ${file:/path}, or $$ for a dollar", inner)
	}
	v, ok := env(inner)
	if !ok {
		return "", fmt.Errorf("the environment variable %s is not set: export it before starting, or write the value here", inner)
	}
	return v, nil
}

// maxSecret bounds a file that holds one value, in bytes.
const maxSecret = 64 << 10

func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the value from a file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxSecret {
		return "", fmt.Errorf("cannot read the value from %s: want a regular file of at most %d KiB", path, maxSecret>>10)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("cannot read the value from a file: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
