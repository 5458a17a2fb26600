package harness

import (
	"context"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The listeners of a secured broker beside the one in plain text, on which everything is allowed.
const (
	ListenerLogin  = "LOGIN"  // TLS, and a login by PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER
	ListenerMutual = "MUTUAL" // TLS, and a certificate of the client
)

// SecuredKafka starts a broker that speaks TLS, wants to know who somebody is, and lets nobody do what was not allowed.
// Users log in with the password of Password; tokens are Token's.
func SecuredKafka(t T, a *Authority, users ...string) *Cluster {
	t.Helper()
	keys := a.Together("broker")
	settings := map[string]string{
		"authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
		"super.users":           "User:ANONYMOUS",
		"listener.name.login.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
		"listener.name.mutual.ssl.client.auth":        "required",
		"listener.name.login.oauthbearer.sasl.jaas.config": "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule " +
			`required unsecuredLoginStringClaim_sub="broker";`,
	}
	for _, listener := range []string{"login", "mutual"} {
		for key, value := range map[string]string{"keystore.type": "PEM", "keystore.location": keys, "truststore.type": "PEM", "truststore.location": a.CA} {
			settings["listener.name."+listener+".ssl."+key] = value
		}
	}
	plain := `org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="broker"`
	var format []string
	for _, user := range users {
		plain += fmt.Sprintf(" user_%s=%q", user, Password(user))
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			format = append(format, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, user, Password(user)))
		}
	}
	settings["listener.name.login.plain.sasl.jaas.config"] = plain + ";"
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		settings["listener.name.login."+mechanism+".sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
	return Kafka(t, KafkaOptions{Settings: settings, Format: format,
		Listeners: map[string]Listener{ListenerLogin: {Protocol: "SASL_SSL"}, ListenerMutual: {Protocol: "SSL"}}})
}

// Password is the password of a user of SecuredKafka.
func Password(user string) string { return "the-password-of-" + user }

// Token is a bearer token of a user (RFC 7515, unsecured, as brokers take it where nothing else is configured).
func Token(user string) string {
	part := base64.RawURLEncoding.EncodeToString
	now := time.Now().Unix()
	return part([]byte(`{"alg":"none"}`)) + "." + part(fmt.Appendf(nil, `{"sub":%q,"iat":%d,"exp":%d}`, user, now, now+3600)) + "."
}

// Allow is what a principal may do with what begins with a name.
type Allow struct {
	Principal  string
	Resource   kmsg.ACLResourceType
	Prefix     string
	Operations []kmsg.ACLOperation
}

// Allow grants rights.
func (c *Cluster) Allow(rights ...Allow) {
	c.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...))
	must(c.t, "make a Kafka client", err)
	defer client.Close()
	req := kmsg.NewPtrCreateACLsRequest()
	for _, r := range rights {
		for _, operation := range r.Operations {
			one := kmsg.NewCreateACLsRequestCreation()
			one.ResourceType, one.ResourceName, one.ResourcePatternType = r.Resource, r.Prefix, kmsg.ACLResourcePatternTypePrefixed
			one.Principal, one.Host, one.Operation, one.PermissionType = r.Principal, "*", operation, kmsg.ACLPermissionTypeAllow
			req.Creations = append(req.Creations, one)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	res, err := req.RequestWith(ctx, client)
	must(c.t, "grant rights", err)
	for _, result := range res.Results {
		must(c.t, "grant rights", kerr.ErrorForCode(result.ErrorCode))
	}
}
