package http

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// oauth gets tokens from an endpoint and keeps one until shortly before it ends.
type oauth struct {
	cfg     OAuth2
	client  *http.Client
	timeout time.Duration

	mu      sync.Mutex // also held while a token is got, so that callers wait for one request
	current string
	ends    time.Time
}

const (
	// unsaidLife is that of a token whose answer says nothing of it (expires_in is recommended only).
	unsaidLife = 5 * time.Minute
	// early is how long before its end a token is renewed, or half its life: the calls under way must end with it.
	early = 30 * time.Second
)

func (o *oauth) token(ctx context.Context) (string, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current != "" && time.Now().Before(o.ends) {
		return o.current, nil
	}
	answer, err := o.ask(ctx)
	if err != nil {
		return "", &AuthError{fmt.Errorf("cannot get a token from auth.oauth2.token_url %s: %w", o.cfg.TokenURL, err)}
	}
	life := time.Duration(answer.ExpiresIn) * time.Second
	if life <= 0 {
		life = unsaidLife
	}
	o.current, o.ends = answer.AccessToken, time.Now().Add(life-min(early, life/2))
	return o.current, nil
}

// refused drops a token, unless another was got meanwhile.
func (o *oauth) refused(token string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.current == token {
		o.current = ""
	}
}

// tokenAnswer is RFC 6749, 5.1.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
}

func (o *oauth) ask(ctx context.Context) (out tokenAnswer, err error) {
	secret, err := readSecret(o.cfg.ClientSecretFile)
	if err != nil {
		return out, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(o.cfg.Scopes) > 0 {
		form.Set("scope", strings.Join(o.cfg.Scopes, " "))
	}
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return out, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.SetBasicAuth(url.QueryEscape(o.cfg.ClientID), url.QueryEscape(secret)) // RFC 6749, 2.3.1
	a, err := send(o.client, req)
	switch {
	case err != nil:
		return out, plain(err)
	case a.status != http.StatusOK:
		return out, fmt.Errorf("it answered %s%s", statusText(a.status), a.excerpt(secret))
	case json.Unmarshal(a.body, &out) != nil || out.AccessToken == "":
		return out, fmt.Errorf("its answer holds no access_token")
	case !strings.EqualFold(out.TokenType, "bearer"):
		return out, fmt.Errorf("it gave a token of type %.20q: only bearer tokens can be used", out.TokenType)
	}
	return out, nil
}
