package config

import "regexp"

// Stars stand where a secret would be printed.
const Stars = "***"

// secretWord matches names of settings whose value is a secret, in YAML keys and in connection
// strings: password, sslpassword, token, secret, passphrase, basic_auth_password, salt.
const secretWord = `[a-z_]*(?:password|passwd|passphrase|token|secret|salt)`

var (
	secretKey = regexp.MustCompile(`(?i)^` + secretWord + `$`)
	// userinfo is what stands between "user:" and the last "@" before the path of a URL. It is matched
	// in the text and not by net/url, so that a password with characters that should have been escaped
	// is covered too.
	userinfo = regexp.MustCompile(`(://[^/:@\s"']*):[^\s"']*@`)
	// parameter is password=... in a URL's query or a key=value connection string, where the value may
	// be quoted with ' and \ escapes (libpq, "Keyword/Value Connection Strings").
	parameter = regexp.MustCompile(`(?i)\b(` + secretWord + `\s*=\s*)('(?:[^'\\]|\\.)*'?|[^\s&'"]+)`)
	// yamlSecret is "password: ..." in a line of a configuration file, to the line's end: where a plain
	// value ends depends on what is around it.
	yamlSecret = regexp.MustCompile(`(?i)(["']?\b` + secretWord + `["']?\s*:\s+)\S.*`)
)

// Redact gives s, which may be or hold a connection string, without its passwords.
func Redact(s string) string {
	s = userinfo.ReplaceAllString(s, "$1:"+Stars+"@")
	return parameter.ReplaceAllString(s, "${1}"+Stars)
}

// redactLine gives a line of a configuration file without its secrets.
func redactLine(s string) string {
	return yamlSecret.ReplaceAllString(Redact(s), "${1}"+Stars)
}

// isSecret tells whether a setting's value is a secret by its name.
func isSecret(key string) bool { return secretKey.MatchString(key) }
