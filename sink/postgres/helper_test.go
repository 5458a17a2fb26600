package postgres_test

import "strings"

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }
