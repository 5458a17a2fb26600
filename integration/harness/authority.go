package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Authority signs the certificates of a test's servers and clients. Files are PEM.
type Authority struct {
	CA string // file of its own certificate

	t    T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// NewAuthority makes one in a folder of the test.
func NewAuthority(t T) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: t.TempDir(), key: newKey(t)}
	must(t, "open the folder of certificates", os.Chmod(filepath.Dir(a.dir), 0o755)) // servers run as others
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	a.CA = a.write("ca.pem", "CERTIFICATE", a.sign(a.cert, a.key))
	return a
}

func newKey(t T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, "make a key", err)
	return key
}

func (a *Authority) sign(c *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key.Public(), a.key)
	must(a.t, "sign a certificate", err)
	return der
}

func (a *Authority) write(name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	must(a.t, "write a certificate", os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

// Issue gives a certificate for 127.0.0.1 and the name, for either side of a connection, and its key.
func (a *Authority) Issue(name string) (cert, key string) {
	a.t.Helper()
	k := newKey(a.t)
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	must(a.t, "write a key", err)
	return a.write(name+".pem", "CERTIFICATE", a.sign(c, k)), a.write(name+".key", "PRIVATE KEY", der)
}

// Together gives one file with a certificate and its key, as Kafka wants them.
func (a *Authority) Together(name string) string {
	a.t.Helper()
	cert, key := a.Issue(name)
	var all []byte
	for _, file := range []string{key, cert} {
		b, err := os.ReadFile(file)
		must(a.t, "read a certificate", err)
		all = append(all, b...)
	}
	path := filepath.Join(a.dir, name+".both.pem")
	must(a.t, "write a certificate", os.WriteFile(path, all, 0o600))
	return path
}
