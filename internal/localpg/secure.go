package localpg

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// Secure restarts the server with TLS, by the files of a certificate, its key and the authority that clients'
// certificates are to be signed by, and with the rules of pg_hba.conf. The superuser comes in as before.
func (s *Server) Secure(ctx context.Context, cert, key, ca, rules string) error {
	for name, from := range map[string]string{"server.crt": cert, "server.key": key, "ca.crt": ca} {
		text, err := os.ReadFile(from)
		if err != nil {
			return fmt.Errorf("cannot secure the server: %w", err)
		}
		if err := s.put(name, text); err != nil {
			return fmt.Errorf("cannot secure the server: %w", err)
		}
	}
	const own = "host all postgres 127.0.0.1/32 trust\nhost replication postgres 127.0.0.1/32 trust\n"
	if err := s.put("pg_hba.conf", []byte(own+rules)); err != nil {
		return fmt.Errorf("cannot secure the server: %w", err)
	}
	err := s.configure(map[string]string{"ssl": "on", "ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "ca.crt",
		"password_encryption": "scram-sha-256"})
	if err != nil {
		return err
	}
	return s.Restart(ctx)
}

// put writes a file of the data folder.
func (s *Server) put(name string, text []byte) error {
	path := filepath.Join(s.data(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return err
	}
	return s.user.Own(path)
}
