package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/segmentio/kafka-go/sasl"
)

// bearer logs in with a token (RFC 7628, with Kafka's reading of it, KIP-255). The token's file is read anew for each
// connection, so that somebody else may renew it: brokers end connections whose token has expired.
type bearer struct {
	token Secret
	file  string
}

// maxToken bounds the file, in bytes.
const maxToken = 64 << 10

// Name implements sasl.Mechanism.
func (b bearer) Name() string { return "OAUTHBEARER" }

// Start implements sasl.Mechanism.
func (b bearer) Start(context.Context) (sasl.StateMachine, []byte, error) {
	token := string(b.token)
	if b.file != "" {
		text, err := os.ReadFile(b.file)
		if err != nil {
			return nil, nil, fmt.Errorf("cannot read kafka.sasl.token_file: %w", err)
		}
		if token = strings.TrimSpace(string(text)); token == "" || len(token) > maxToken {
			return nil, nil, fmt.Errorf("kafka.sasl.token_file %s holds %d bytes, which is no token", b.file, len(text))
		}
	}
	if strings.ContainsAny(token, "\x00\x01\r\n") {
		return nil, nil, errors.New("the token holds control characters")
	}
	return new(bearerState), []byte("n,,\x01auth=Bearer " + token + "\x01\x01"), nil
}

// bearerState is a login under way.
type bearerState struct{ refused []byte }

// Next implements sasl.StateMachine. A refusal is told in a message that wants an answer, and then by an error.
func (s *bearerState) Next(_ context.Context, challenge []byte) (done bool, answer []byte, err error) {
	switch {
	case s.refused != nil:
		return false, nil, fmt.Errorf("the broker refused the token: %s", s.refused)
	case len(challenge) == 0:
		return true, nil, nil
	}
	s.refused = bytes.Clone(challenge[:min(len(challenge), 200)])
	return false, []byte{1}, nil
}
