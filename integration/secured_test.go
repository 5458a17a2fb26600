package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicecdc/sluice/integration/harness"
)

// oddTable needs quotes wherever it is named: spaces, quotes, another script, a reserved word, 63 bytes.
var oddTable = struct{ schema, name string }{`Sch "ö" ma`, `select ` + strings.Repeat("x", 50) + ` "ß"`}

// ident quotes a name.
func ident(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// Everything is encrypted and verified, nobody has more rights than docs/security.md lists, and no secret is shown: capture logs in to the
// source and to Kafka by password, the sink to Kafka and to the destination by certificate, both to the registry.
func TestSecuredPath(t *testing.T) {
	t.Parallel()
	authority := harness.NewAuthority(t)
	pg := securedPostgres(t, authority)
	kafka := harness.SecuredKafka(t, authority, "capture")
	table := ident(oddTable.schema) + "." + ident(oddTable.name)
	d := newDeployment(t, 15, []string{"'" + table + "'"}, nil)
	allowAsDocumented(kafka, d.name)
	d.source, d.destination = pg.NewDatabase(), pg.NewDatabase()
	ownerSource, ownerDestination := d.source, d.destination
	slot := "sluice_" + d.name
	execAt(t, ownerSource, "CREATE SCHEMA "+ident(oddTable.schema), `CREATE TABLE `+table+` ("order" bigint PRIMARY KEY, "a ""b"" c" text, "ключ" int)`,
		`INSERT INTO `+table+` SELECT g, 'before', g FROM generate_series(1, 500) g`,
		`CREATE ROLE capture LOGIN REPLICATION PASSWORD 'source secret'`, "GRANT USAGE ON SCHEMA "+ident(oddTable.schema)+" TO capture",
		"GRANT SELECT ON "+table+" TO capture", "CREATE PUBLICATION "+slot+" FOR TABLE ONLY "+table+" WITH (publish_via_partition_root = true, publish_generated_columns = stored)")
	execAt(t, ownerDestination, `CREATE ROLE billing LOGIN`, "CREATE SCHEMA "+ident(oddTable.schema)+" AUTHORIZATION billing", "CREATE SCHEMA sluice AUTHORIZATION billing")
	cert, key := authority.Issue("billing")
	d.source = as(t, d.source, "capture", "source secret", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {authority.CA}})
	d.destination = as(t, d.destination, "billing", "", url.Values{"sslmode": {"verify-full"}, "sslrootcert": {authority.CA}, "sslcert": {cert}, "sslkey": {key}})

	registry := securedRegistry(t, authority)
	d.edit("registry: embedded", fmt.Sprintf("registry: %s\n  username: sluice\n  password: %s\n  tls: {ca: %s, cert: %s, key: %s}", registry, registryPassword, authority.CA, cert, key))
	brokers := strings.Join(d.brokers, ", ")
	s := d.twin()
	s.edit("deletes: hard", "where: ____ != -1, deletes: hard")
	s.edit(brokers+"]", fmt.Sprintf("%s]\n  tls: {enabled: true, ca: %s, cert: %s, key: %s}", kafka.Listens(harness.ListenerMutual), authority.CA, cert, key))
	password := filepath.Join(d.folder, "password")
	if err := os.WriteFile(password, []byte(harness.Password("capture")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d.edit(brokers+"]", fmt.Sprintf("%s]\n  tls: {enabled: true, ca: %s}\n  sasl: {mechanism: SCRAM-SHA-512, username: capture, password: '${file:%s}'}",
		kafka.Listens(harness.ListenerLogin), authority.CA, password))

	// Rights are granted for topics that are not there yet, and check asks for none that capture does not use.
	out, status := d.command("check")
	if status != 0 {
		t.Errorf("check ends with %d:\n%s", status, out)
	}
	capture, sink := d.start("capture"), s.start("sink", "copy")
	waiting := *d
	waiting.source, waiting.destination = ownerSource, ownerDestination
	waiting.caughtUp(60 * time.Second)
	execAt(t, ownerSource, `UPDATE `+table+` SET "a ""b"" c" = 'changed' WHERE "order" % 2 = 0`, `DELETE FROM `+table+` WHERE "order" % 5 = 0`,
		`ALTER TABLE `+table+` ADD "new column" text`, `INSERT INTO `+table+` VALUES (1000, 'o''clock', NULL, '"')`)
	// A row that enters by the condition while a value of it does not travel is asked for with the sink's rights.
	execAt(t, ownerSource, `ALTER TABLE `+table+` ALTER "a ""b"" c" SET STORAGE EXTERNAL`, `INSERT INTO `+table+` VALUES (1001, repeat('long', 1000), -1)`,
		`UPDATE `+table+` SET "ключ" = 1 WHERE "order" = 1001`)
	waiting.caughtUp(60 * time.Second)
	waiting.same(table)
	for _, args := range [][]string{{"config"}, {"status"}, {"snapshot", table}} {
		more, status := d.command(args...)
		if out += more; status != 0 {
			t.Errorf("%v ends with %d:\n%s", args, status, more)
		}
	}
	for _, page := range []string{d.console + "/api/status", d.console + "/metrics", s.sinkConsole + "/api/status"} {
		body, err := fetch("http://" + page)
		if err != nil {
			t.Fatal(err)
		}
		out += string(body)
	}
	s.stop(sink)
	d.stop(capture)

	// What is refused says so, and shows nothing either.
	d.edit("username: capture", "username: nobody")
	out += d.fails(1, "capture")
	d.source = strings.Replace(d.source, "source", "another", 1)
	out += d.fails(3, "check")
	for _, folder := range []string{d.folder, s.folder} {
		logs, err := filepath.Glob(filepath.Join(folder, "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		for _, log := range logs {
			text, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			out += string(text)
		}
	}
	says(t, out, "SCRAM-SHA-512 login", "password authentication failed")
	for _, secret := range []string{"source secret", "source%20secret", "another%20secret", harness.Password("capture"), registryPassword} {
		if i := strings.Index(out, secret); i >= 0 {
			t.Errorf("%q is shown: ...%s...", secret, out[max(0, i-200):min(len(out), i+50)])
		}
	}
}

// as gives a DSN of another role.
func as(t *testing.T, dsn, user, password string, options url.Values) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	if u.User = url.User(user); password != "" {
		u.User = url.UserPassword(user, password)
	}
	u.RawQuery = options.Encode()
	return u.String()
}

// securedPostgres takes connections with TLS only, from roles with a password or with a certificate.
func securedPostgres(t *testing.T, a *harness.Authority) *harness.PG {
	t.Helper()
	pg := harness.Postgres(t, harness.Options{Version: 18})
	cert, key := a.Issue("postgres")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	rules := "hostssl all capture 127.0.0.1/32 scram-sha-256\nhostssl all billing 127.0.0.1/32 cert\n"
	if err := pg.Secure(ctx, cert, key, a.CA, rules); err != nil {
		t.Fatal(err)
	}
	return pg
}

const registryPassword = "registry secret"

// securedRegistry wants TLS, a certificate and a password.
func securedRegistry(t *testing.T, a *harness.Authority) string {
	t.Helper()
	target, err := url.Parse(sharedRegistry(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "sluice" || password != registryPassword {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	cert, err := tls.LoadX509KeyPair(a.Issue("registry"))
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(a.CA)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AppendCertsFromPEM(pem)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.URL
}

// allowAsDocumented grants what docs/security.md lists for a source of the name.
func allowAsDocumented(kafka *harness.Cluster, source string) {
	const (
		read, write, create           = kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate
		describe, settings            = kmsg.ACLOperationDescribe, kmsg.ACLOperationDescribeConfigs
		topics, transactions, ofGroup = kmsg.ACLResourceTypeTopic, kmsg.ACLResourceTypeTransactionalId, kmsg.ACLResourceTypeGroup
	)
	kafka.Allow(
		harness.Allow{Principal: "User:capture", Resource: topics, Prefix: source + ".", Operations: []kmsg.ACLOperation{create, write, read, describe, settings}},
		harness.Allow{Principal: "User:capture", Resource: transactions, Prefix: "sluice-" + source, Operations: []kmsg.ACLOperation{write, describe}},
		harness.Allow{Principal: "User:capture", Resource: transactions, Prefix: "sluice-control-" + source, Operations: []kmsg.ACLOperation{write, describe}},
		harness.Allow{Principal: "User:CN=billing", Resource: topics, Prefix: source + ".", Operations: []kmsg.ACLOperation{read, describe}},
		harness.Allow{Principal: "User:CN=billing", Resource: topics, Prefix: source + ".sluice.control", Operations: []kmsg.ACLOperation{write}},
		harness.Allow{Principal: "User:CN=billing", Resource: transactions, Prefix: "sluice-control-" + source + "-", Operations: []kmsg.ACLOperation{write, describe}},
		harness.Allow{Principal: "User:CN=billing", Resource: topics, Prefix: source + ".sluice.dlq.", Operations: []kmsg.ACLOperation{create, write, settings}},
		harness.Allow{Principal: "User:CN=billing", Resource: transactions, Prefix: "sluice-dlq-" + source + "-", Operations: []kmsg.ACLOperation{write, describe}},
		harness.Allow{Principal: "User:CN=billing", Resource: ofGroup, Prefix: "sluice-" + source + "-", Operations: []kmsg.ACLOperation{read, describe}},
	)
}
