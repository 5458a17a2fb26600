package kafka

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/sluicecdc/sluice/integration/harness"
)

func fake(t *testing.T, opts ...kfake.Opt) string {
	t.Helper()
	c, err := kfake.NewCluster(append(opts, kfake.NumBrokers(1))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c.ListenAddrs()[0]
}

func TestOpenSecured(t *testing.T) {
	authority := harness.NewAuthority(t)
	cert, err := tls.LoadX509KeyPair(authority.Issue("broker"))
	if err != nil {
		t.Fatal(err)
	}
	ca := authority.CA
	secure := func() kfake.Opt { return kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}) }
	login := []kfake.Opt{kfake.EnableSASL(), kfake.Superuser("PLAIN", "u", "secret"), kfake.Superuser("SCRAM-SHA-256", "u", "secret"), kfake.Superuser("SCRAM-SHA-512", "u", "secret")}
	plainAddr, tlsAddr, saslAddr, bothAddr := fake(t), fake(t, secure()), fake(t, login...), fake(t, append(login, secure())...)
	trust := TLS{Enabled: true, CA: ca}
	user := func(mechanism, password string) SASL {
		return SASL{Mechanism: mechanism, Username: "u", Password: Secret(password)}
	}
	for _, test := range []struct {
		name, addr string
		tls        TLS
		sasl       SASL
		say        []string // nothing: it opens
	}{
		{"plain", plainAddr, TLS{}, SASL{}, nil},
		{"TLS", tlsAddr, trust, SASL{}, nil},
		{"PLAIN login", saslAddr, TLS{}, user("PLAIN", "secret"), nil},
		{"SCRAM-SHA-256 login", saslAddr, TLS{}, user("SCRAM-SHA-256", "secret"), nil},
		{"SCRAM-SHA-512 login over TLS", bothAddr, trust, user("SCRAM-SHA-512", "secret"), nil},
		{"wrong password", saslAddr, TLS{}, user("PLAIN", "wrong"), []string{"PLAIN login", "check kafka.sasl.username and kafka.sasl.password"}},
		{"wrong password, SCRAM", bothAddr, trust, user("SCRAM-SHA-256", "wrong"), []string{"SCRAM-SHA-256 login", "check kafka.sasl.username and kafka.sasl.password"}},
		{"no login", saslAddr, TLS{}, SASL{}, []string{"wants a login: set kafka.sasl"}},
		{"unknown authority", tlsAddr, TLS{Enabled: true}, SASL{}, []string{"authority we do not know: set kafka.tls.ca"}},
		{"other name", tlsAddr, TLS{Enabled: true, CA: ca, ServerName: "elsewhere"}, SASL{}, []string{"kafka.tls.server_name"}},
		{"TLS on a plain port", plainAddr, trust, SASL{}, []string{"does not speak TLS", "kafka.tls.enabled: false"}},
		{"plaintext to a TLS port", tlsAddr, TLS{}, SASL{}, []string{"expects TLS", "kafka.tls.enabled"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := Open(timeout(t, 20*time.Second), Config{Brokers: Brokers{test.addr}, TLS: test.tls, SASL: test.sasl}, testLog(t))
			wantOpen(t, test.addr, c, err, test.say)
		})
	}
}

// TestRealBrokerOnAPlainPort has the answers of a real broker where they differ.
func TestRealBrokerOnAPlainPort(t *testing.T) {
	addr := harness.SharedKafka(t).Addrs()[0]
	c, err := Open(timeout(t, 20*time.Second), Config{Brokers: Brokers{addr}, TLS: TLS{Enabled: true}}, testLog(t))
	wantOpen(t, addr, c, err, []string{"does not speak TLS", "kafka.tls.enabled: false"})
	c, err = Open(timeout(t, 20*time.Second), Config{Brokers: Brokers{addr}, SASL: SASL{Mechanism: "PLAIN", Username: "u", Password: "secret"}}, testLog(t))
	wantOpen(t, addr, c, err, []string{"PLAIN login", "remove kafka.sasl"})
}

// TestSecuredBroker logs in to a real broker in every way, and is told what is wrong.
func TestSecuredBroker(t *testing.T) {
	authority := harness.NewAuthority(t)
	broker := harness.SecuredKafka(t, authority, "crm")
	cert, key := authority.Issue("crm")
	strange, strangeKey := harness.NewAuthority(t).Issue("crm")
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(harness.Token("crm")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	trust := TLS{Enabled: true, CA: authority.CA}
	login := func(mechanism string) SASL {
		return SASL{Mechanism: mechanism, Username: "crm", Password: Secret(harness.Password("crm"))}
	}
	wrong := login("SCRAM-SHA-512")
	wrong.Password = "secret"
	for _, test := range []struct {
		name, listener string
		tls            TLS
		sasl           SASL
		say            []string // nothing: it opens
	}{
		{"PLAIN", harness.ListenerLogin, trust, login("PLAIN"), nil},
		{"SCRAM-SHA-256", harness.ListenerLogin, trust, login("SCRAM-SHA-256"), nil},
		{"SCRAM-SHA-512", harness.ListenerLogin, trust, login("SCRAM-SHA-512"), nil},
		{"OAUTHBEARER", harness.ListenerLogin, trust, SASL{Mechanism: "OAUTHBEARER", Token: Secret(harness.Token("crm"))}, nil},
		{"OAUTHBEARER from a file", harness.ListenerLogin, trust, SASL{Mechanism: "OAUTHBEARER", TokenFile: file}, nil},
		{"our certificate", harness.ListenerMutual, TLS{Enabled: true, CA: authority.CA, Cert: cert, Key: key}, SASL{}, nil},
		{"wrong password", harness.ListenerLogin, trust, wrong, []string{"SCRAM-SHA-512 login", "check kafka.sasl.username and kafka.sasl.password"}},
		{"wrong token", harness.ListenerLogin, trust, SASL{Mechanism: "OAUTHBEARER", Token: "secret"}, []string{"OAUTHBEARER login", "check kafka.sasl.token"}},
		{"no file", harness.ListenerLogin, trust, SASL{Mechanism: "OAUTHBEARER", TokenFile: file + ".not"}, []string{"cannot read kafka.sasl.token_file"}},
		{"unknown authority", harness.ListenerLogin, TLS{Enabled: true}, login("PLAIN"), []string{"authority we do not know: set kafka.tls.ca"}},
		{"no certificate", harness.ListenerMutual, trust, SASL{}, []string{"kafka.tls.cert"}},
		{"strange certificate", harness.ListenerMutual, TLS{Enabled: true, CA: authority.CA, Cert: strange, Key: strangeKey}, SASL{}, []string{"kafka.tls.cert"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			addr := broker.Listens(test.listener)
			c, err := Open(timeout(t, 20*time.Second), Config{Brokers: Brokers{addr}, TLS: test.tls, SASL: test.sasl}, testLog(t))
			wantOpen(t, addr, c, err, test.say)
		})
	}
}

func wantOpen(t *testing.T, addr string, c *Client, err error, say []string) {
	t.Helper()
	if c != nil {
		c.Close()
	}
	if (err == nil) != (say == nil) {
		t.Fatalf("got %v", err)
	}
	if err == nil {
		return
	}
	for _, s := range append(say, addr) {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("got %q, want %q in it", err, s)
		}
	}
	if strings.Contains(err.Error(), "secret") || errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// TestOpenWaitsForAnUnreachableBroker also wants the first line within 5 seconds.
func TestOpenWaitsForAnUnreachableBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	lines := &lines{first: make(chan string, 1)}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	go func() {
		select {
		case <-lines.first:
		case <-time.After(5 * time.Second):
			t.Error("no line within 5 s")
		}
		cancel()
	}()
	_, err = Open(ctx, Config{Brokers: Brokers{addr}}, slog.New(slog.NewTextHandler(lines, nil)))
	if err == nil || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "connection refused") {
		t.Fatalf("got %v", err)
	}
}

// lines gives the first line that is logged.
type lines struct {
	once  sync.Once
	first chan string
}

func (l *lines) Write(b []byte) (int, error) {
	l.once.Do(func() { l.first <- string(b) })
	return len(b), nil
}

func TestNotKafka(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n")
			c.Close()
		}
	}()
	_, err = Open(timeout(t, 20*time.Second), Config{Brokers: Brokers{l.Addr().String()}}, testLog(t))
	if err == nil || !strings.Contains(err.Error(), "does not look like Kafka") {
		t.Fatalf("got %v", err)
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	c := Config{SASL: SASL{Mechanism: "PLAIN", Username: "u", Password: "hunter2"}}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %v %q", c, c, c.SASL, c.SASL.Password)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("printed: %s", text)
		}
	}
}
