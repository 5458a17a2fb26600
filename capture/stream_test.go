package capture

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"testing"

	"github.com/sluicecdc/sluice/integration/harness"
)

// TestLargeValuesAndTLS sends values larger than a slab, and than the whole budget, through an
// ordinary and through an encrypted connection.
func TestLargeValuesAndTLS(t *testing.T) {
	onEach(t, func(t *testing.T, cfg Config, d *db) {
		d.run(`CREATE TABLE a (id int PRIMARY KEY, big bytea); ALTER TABLE a ALTER big SET STORAGE EXTERNAL`)
		cfg.BufferBytes = minSlabs * slabBytes
		plain := cfg.DSN
		for i, dsn := range []string{plain, encrypted(t, plain)} {
			cfg.DSN, cfg.Slot = dsn, fmt.Sprintf("large_%d_%s", i, d.ask(`SELECT current_database()::text`))
			r := newRecorder(t)
			d.run(`TRUNCATE a`)
			c := start(t, cfg, r)
			c.awaitState(StateStreaming)
			var want []string
			for id, n := range []int{10, 100_000, 300_000, 10, 3_000_000, 262_144, 1, 1_000_000} {
				d.run(fmt.Sprintf(`INSERT INTO a VALUES (%d, convert_to(repeat('x', %d), 'UTF8'))`, id, n))
				want = append(want, fmt.Sprintf("%d:%d", id, n))
			}
			d.run(`INSERT INTO a SELECT g, convert_to(repeat('y', 1000), 'UTF8') FROM generate_series(100, 20000) g`)
			got := r.await(len(want) + 19901)
			for i, w := range want {
				var id, n int
				_, _ = fmt.Sscanf(w, "%d:%d", &id, &n)
				if n > 40 && got[i] != fmt.Sprintf("c a after(id:%d big:%s)", id, r.big('x', n)) {
					t.Errorf("change %d is %.80s, want %s", i, got[i], w)
				}
			}
			if last := got[len(got)-1]; last != "c a after(id:20000 big:"+r.big('y', 1000)+")" {
				t.Errorf("the last change is %s", last)
			}
			c.finish()
		}
	})
}

// big is how the recorder writes n equal bytes.
func (r *recorder) big(b byte, n int) string {
	one := fmt.Sprintf("%d", b)
	text := "[" + one + " " + one + " " + one
	return fmt.Sprintf("%s…%d", text[:8], (len(one)+1)*n+1)
}

// encrypted gives a DSN that leads to the same server through TLS, by a proxy that takes it off.
func encrypted(t *testing.T, dsn string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cfg := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	go func(to string) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go decrypt(conn, cfg, to)
		}
	}(u.Host)
	u.Host = l.Addr().String()
	q := u.Query()
	q.Set("sslmode", "require")
	u.RawQuery = q.Encode()
	return u.String()
}

func decrypt(client net.Conn, cfg *tls.Config, to string) {
	defer client.Close()
	var request [8]byte
	if _, err := io.ReadFull(client, request[:]); err != nil {
		return
	}
	if _, err := client.Write([]byte{'S'}); err != nil {
		return
	}
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer server.Close()
	secure := tls.Server(client, cfg)
	go func() { _, _ = io.Copy(server, secure); server.Close() }()
	_, _ = io.Copy(secure, server)
}

func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(harness.NewAuthority(t).Issue("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
