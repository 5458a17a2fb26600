package kafka

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
	"github.com/segmentio/kafka-go/sasl"
)

// dialTimeout bounds a connection attempt with its handshakes; the first line about an unreachable
// server must come within 5 s.
const dialTimeout = 4 * time.Second

// dialer makes connections as the configuration says.
type dialer struct {
	tls     *tls.Config
	login   sasl.Mechanism
	keys    string // of the configuration, that the login comes from
	connect func(ctx context.Context, network, addr string) (net.Conn, error)
}

// dial connects, secures, asks for versions and logs in.
func (d *dialer) dial(ctx context.Context, addr string) (*conn, error) {
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	raw, err := d.connect(dialCtx, "tcp", addr)
	if err != nil {
		return nil, orCause(ctx, addr, &FaultError{Broker: addr, Err: plainReason(err)})
	}
	c := &conn{Conn: raw, broker: addr, in: bufio.NewReaderSize(raw, 64<<10)}
	if err := d.prepare(dialCtx, c); err != nil {
		raw.Close()
		return nil, orCause(ctx, addr, err)
	}
	c.SetDeadline(time.Time{})
	return c, nil
}

// orCause prefers the end of the caller's context over what it caused, and names the broker that did
// not answer in time.
func orCause(ctx context.Context, addr string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	var fault *FaultError
	if errors.Is(err, context.DeadlineExceeded) && !errors.As(err, &fault) {
		return &FaultError{Broker: addr, Err: fmt.Errorf("connected, but no answer within %v", dialTimeout),
			Advice: "check that the port speaks Kafka, and kafka.tls.enabled"}
	}
	return err
}

func (d *dialer) prepare(ctx context.Context, c *conn) error {
	if err := d.secure(ctx, c); err != nil {
		return err
	}
	if err := c.learn(ctx); err != nil {
		return d.explainFirst(c, err)
	}
	if d.login == nil {
		return nil
	}
	return d.authenticate(ctx, c)
}

// secure does the TLS handshake.
func (d *dialer) secure(ctx context.Context, c *conn) error {
	if d.tls == nil {
		return nil
	}
	cfg := d.tls.Clone()
	if cfg.ServerName == "" {
		cfg.ServerName, _, _ = net.SplitHostPort(c.broker)
	}
	t := tls.Client(c.Conn, cfg)
	if err := t.HandshakeContext(ctx); err != nil {
		return explainTLS(c.broker, err)
	}
	c.Conn, c.in = t, bufio.NewReaderSize(t, 64<<10)
	return nil
}

// explainTLS says which side of the handshake does not fit.
func explainTLS(broker string, err error) error {
	f := &FaultError{Broker: broker, Err: fmt.Errorf("TLS handshake: %w", err)}
	var (
		record  tls.RecordHeaderError
		verify  *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &unknown):
		f.Permanent, f.Advice = true, "its certificate is signed by an authority we do not know: set kafka.tls.ca"
	case errors.As(err, &verify):
		f.Permanent, f.Advice = true, "check kafka.tls.ca and kafka.tls.server_name"
	case errors.As(err, &record):
		f.Permanent, f.Advice = true, "the port does not speak TLS: set kafka.tls.enabled: false, or use the TLS port"
	case isHangUp(err):
		f.Suspect, f.Advice = true, "it hung up, as a port does that does not speak TLS: set kafka.tls.enabled: false, or use the TLS port"
	case errors.Is(err, context.DeadlineExceeded):
		f.Err = fmt.Errorf("no answer to the TLS handshake within %v", dialTimeout)
		f.Suspect, f.Advice = true, "perhaps because the port does not speak TLS: set kafka.tls.enabled: false, or use the TLS port"
	default:
		refusedCertificate(f)
	}
	return f
}

// refusedCertificate tells a broker that wants a certificate of ours, or another one.
func refusedCertificate(f *FaultError) {
	if strings.Contains(f.Err.Error(), "remote error: tls") {
		f.Permanent, f.Advice = true, "it refused us: check kafka.tls.cert and kafka.tls.key"
	}
}

// explainFirst adds what a broker means by hanging up on the first plaintext request, or by an alert: in TLS 1.3 it judges
// our certificate when the handshake is over for us.
func (d *dialer) explainFirst(c *conn, err error) error {
	var f *FaultError
	if d.tls != nil && errors.As(err, &f) {
		refusedCertificate(f)
	}
	if d.tls == nil && errors.As(err, &f) && f.Advice == "" && isHangUp(f.Err) {
		f.Suspect, f.Advice = true, "it hung up on the first request, as a port does that expects TLS: check kafka.tls.enabled"
	}
	return err
}

func isHangUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// authenticate logs in (protocol guide, "SASL Authentication Sequence").
func (d *dialer) authenticate(ctx context.Context, c *conn) error {
	if err := d.handshake(ctx, c); err != nil {
		return err
	}
	host, _, _ := net.SplitHostPort(c.broker)
	state, answer, err := d.login.Start(sasl.WithMetadata(ctx, &sasl.Metadata{Host: host}))
	for done := false; err == nil && !done; {
		var challenge []byte
		if challenge, err = c.authenticateStep(ctx, answer); err == nil {
			done, answer, err = state.Next(ctx, challenge)
		}
	}
	if err == nil {
		return nil
	}
	var f *FaultError
	if errors.As(err, &f) {
		return d.explainLogin(f)
	}
	return &FaultError{Broker: c.broker, Permanent: true, Err: fmt.Errorf("%s login: %w", d.login.Name(), err),
		Advice: "check " + d.keys}
}

// explainLogin adds what a broker means by hanging up during the login.
func (d *dialer) explainLogin(f *FaultError) error {
	if isHangUp(f.Err) {
		f.Suspect, f.Err = true, fmt.Errorf("%s login: it hung up: %w", d.login.Name(), f.Err)
		f.Advice = "check " + d.keys
	}
	return f
}

func (d *dialer) handshake(ctx context.Context, c *conn) error {
	msg, err := c.roundTrip(ctx, &saslhandshake.Request{Mechanism: d.login.Name()})
	if err != nil {
		return err
	}
	res := msg.(*saslhandshake.Response)
	if res.ErrorCode == 0 {
		return nil
	}
	advice := "the port takes no login: remove kafka.sasl, or use the port that does"
	if len(res.Mechanisms) > 0 {
		advice = "it takes " + strings.Join(res.Mechanisms, ", ") + ": set kafka.sasl.mechanism"
	}
	return &FaultError{Broker: c.broker, Permanent: true, Advice: advice,
		Err: fmt.Errorf("%s login: %w", d.login.Name(), Code(res.ErrorCode))}
}

func (c *conn) authenticateStep(ctx context.Context, answer []byte) ([]byte, error) {
	msg, err := c.roundTrip(ctx, &saslauthenticate.Request{AuthBytes: answer})
	if err != nil {
		return nil, err
	}
	res := msg.(*saslauthenticate.Response)
	if res.ErrorCode != 0 {
		return nil, fmt.Errorf("%s: %w", res.ErrorMessage, Code(res.ErrorCode))
	}
	return res.AuthBytes, nil
}

// plainReason drops the address that the fault names already.
func plainReason(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Err != nil {
		return fmt.Errorf("cannot connect: %w", op.Err)
	}
	return err
}
