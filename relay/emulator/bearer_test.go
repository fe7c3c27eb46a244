package emulator_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

// tenant signs bearer tokens as Entra would.
type tenant struct {
	name, keyID string
	key         crypto.Signer
}

func newTenant(t testing.TB, key crypto.Signer, err error) *tenant {
	t.Helper()
	must(t, err)
	return &tenant{name: "https://sts.windows.net/tenant/", keyID: "key-1", key: key}
}

// ecTenant signs with ES256.
func ecTenant(t testing.TB) *tenant {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return newTenant(t, key, err)
}

// rsaTenant signs with RS256.
func rsaTenant(t testing.TB) *tenant {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return newTenant(t, key, err)
}

func (n *tenant) issuer() emulator.TokenIssuer {
	return emulator.TokenIssuer{Name: n.name, Keys: map[string]crypto.PublicKey{n.keyID: n.key.Public()}}
}

// trusting is the standard namespace with a tenant and what its people may do.
func (n *tenant) trusting(roles ...emulator.RoleAssignment) emulator.Config {
	cfg := standard()
	cfg.Issuers, cfg.Roles = []emulator.TokenIssuer{n.issuer()}, roles
	return cfg
}

// token is one for principal, good from now for life; change overrides its claims.
func (n *tenant) token(t testing.TB, principal string, life time.Duration, change map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": n.name, "aud": emulator.BearerAudience, "oid": principal,
		"nbf": time.Now().Unix(), "exp": time.Now().Add(life).Unix(),
	}
	maps.Copy(claims, change)
	header := map[string]any{"typ": "JWT", "alg": "ES256", "kid": n.keyID}
	if _, isRSA := n.key.(*rsa.PrivateKey); isRSA {
		header["alg"] = "RS256"
	}
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		b, err := json.Marshal(part)
		must(t, err)
		parts = append(parts, base64.RawURLEncoding.EncodeToString(b))
	}
	signed := strings.Join(parts, ".")
	return signed + "." + base64.RawURLEncoding.EncodeToString(n.sign(t, signed))
}

func (n *tenant) sign(t testing.TB, text string) []byte {
	t.Helper()
	digest := sha256.Sum256([]byte(text))
	key, isEC := n.key.(*ecdsa.PrivateKey)
	if !isEC {
		sig, err := n.key.Sign(rand.Reader, digest[:], crypto.SHA256)
		must(t, err)
		return sig
	}
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	must(t, err)
	return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
}

// credential hands out tokens to the SDK.
type credential struct {
	issue func() (token string, life time.Duration)

	mu     sync.Mutex
	asked  int
	scopes []string
}

// credential is one for principal, whose tokens are good for an hour.
func (n *tenant) credential(t testing.TB, principal string) *credential {
	return &credential{issue: func() (string, time.Duration) { return n.token(t, principal, time.Hour, nil), time.Hour }}
}

// GetToken implements azcore.TokenCredential.
func (c *credential) GetToken(_ context.Context, opts policy.TokenRequestOptions) (azcore.AccessToken, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.scopes = opts.Scopes
	token, life := c.issue()
	return azcore.AccessToken{Token: token, ExpiresOn: time.Now().Add(life)}, nil
}

// connectAs makes an unmodified SDK client, over net.Pipe, that signs in with a credential.
func connectAs(t testing.TB, s *emulator.Server, c azcore.TokenCredential) *azservicebus.Client {
	t.Helper()
	client, err := azservicebus.NewClient(tlsHost, c, &azservicebus.ClientOptions{
		NewWebSocketConn: func(ctx context.Context, _ azservicebus.NewWebSocketConnArgs) (net.Conn, error) { return s.Dial(ctx) },
		RetryOptions:     azservicebus.RetryOptions{MaxRetries: -1},
	})
	must(t, err)
	t.Cleanup(func() { client.Close(context.Background()) })
	return client
}

func TestBearerTokens(t *testing.T) {
	for name, n := range map[string]*tenant{"ES256": ecTenant(t), "RS256": rsaTenant(t)} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, n.trusting(emulator.RoleAssignment{Principal: "owner", Rights: emulator.Manage}))
			certificates := newCertificates(t, tlsHost)
			l := loopback(t)
			open(t, s.ServeTLS, l, certificates.ServerTLS())
			cred := n.credential(t, "owner")
			c, err := azservicebus.NewClient(tlsHost, cred, &azservicebus.ClientOptions{
				TLSConfig: &tls.Config{RootCAs: certificates.RootCAs()}, CustomEndpoint: l.Addr().String(),
			})
			must(t, err)
			defer c.Close(context.Background())
			thereAndBack(t, c, "with a bearer token")
			// Entra makes the audience of the token from the scope: what stands before "/.default".
			if diff := cmp.Diff([]string{emulator.BearerAudience + "//.default"}, cred.scopes); diff != "" {
				t.Errorf("scopes asked for (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRoles(t *testing.T) {
	n := ecTenant(t)
	s := newServer(t, n.trusting(
		emulator.RoleAssignment{Principal: "portal", Rights: emulator.Send, Queue: strings.ToUpper(plainQueue)},
		emulator.RoleAssignment{Principal: "agent", Rights: emulator.Listen, Queue: plainQueue},
		emulator.RoleAssignment{Principal: "both", Rights: emulator.Listen, Queue: plainQueue},
		emulator.RoleAssignment{Principal: "both", Rights: emulator.Send},
		emulator.RoleAssignment{Principal: "elsewhere", Rights: emulator.Manage, Queue: sessionQueue},
	))
	const refused = "amqp:unauthorized-access"
	for principal, want := range map[string]struct{ send, listen string }{
		"portal":    {"", refused},
		"agent":     {refused, ""},
		"both":      {"", ""},
		"elsewhere": {refused, refused},
		"nobody":    {refused, refused},
	} {
		t.Run(principal, func(t *testing.T) {
			c := connectAs(t, s, n.credential(t, principal))
			err := newSender(t, c, plainQueue).SendMessage(within(t), &azservicebus.Message{}, nil)
			wantOutcome(t, "send", err, want.send)
			_, err = newReceiver(t, c, plainQueue, nil).PeekMessages(within(t), 1, nil)
			wantOutcome(t, "peek", err, want.listen)
			send(t, connect(t, s), plainQueue, "x") // whoever may receive need not wait
			_, err = newReceiver(t, c, plainQueue, nil).ReceiveMessages(within(t), 1, nil)
			wantOutcome(t, "receive", err, want.listen)
		})
	}
}

// wantSaid fails unless the error carries a word of the service's answer.
func wantSaid(t *testing.T, err error, word string) {
	t.Helper()
	wantCode(t, err, azservicebus.CodeUnauthorizedAccess)
	if !strings.Contains(err.Error(), word) {
		t.Errorf("%v; it does not say %s", err, word)
	}
}

func TestBearerTokensThatAreRefused(t *testing.T) {
	n, stranger := ecTenant(t), ecTenant(t)
	owner := emulator.RoleAssignment{Principal: "owner", Rights: emulator.Manage}
	for name, tt := range map[string]struct {
		by     *tenant
		change map[string]any
		want   string
	}{
		"expired":         {n, map[string]any{"exp": time.Now().Unix()}, "ExpiredToken"},
		"too early":       {n, map[string]any{"nbf": time.Now().Add(time.Hour).Unix()}, "InvalidToken"},
		"other service":   {n, map[string]any{"aud": "https://vault.azure.net"}, "InvalidAudience"},
		"other issuer":    {n, map[string]any{"iss": "https://sts.windows.net/other/"}, "InvalidIssuer"},
		"another's key":   {stranger, nil, "InvalidSignature"},
		"nobody's at all": {n, map[string]any{"oid": ""}, "MalformedToken"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, n.trusting(owner))
			cred := &credential{issue: func() (string, time.Duration) { return tt.by.token(t, "owner", time.Hour, tt.change), time.Hour }}
			err := newSender(t, connectAs(t, s, cred), plainQueue).SendMessage(within(t), &azservicebus.Message{}, nil)
			wantSaid(t, err, tt.want)
		})
	}
	t.Run("no issuer is trusted", func(t *testing.T) {
		err := newSender(t, connectAs(t, newServer(t, standard()), n.credential(t, "owner")), plainQueue).
			SendMessage(within(t), &azservicebus.Message{}, nil)
		wantSaid(t, err, "'jwt'")
	})
	t.Run("unknown queue", func(t *testing.T) {
		err := newSender(t, connectAs(t, newServer(t, n.trusting(owner)), n.credential(t, "owner")), "nowhere").
			SendMessage(within(t), &azservicebus.Message{}, nil)
		wantCode(t, err, azservicebus.CodeNotFound)
	})
}

// The service's clock decides, not the computer's: a test can make tokens expire by moving it.
func TestBearerTokensExpireByTheServicesClock(t *testing.T) {
	n := ecTenant(t)
	cfg := n.trusting(emulator.RoleAssignment{Principal: "owner", Rights: emulator.Manage})
	cfg.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	err := newSender(t, connectAs(t, newServer(t, cfg), n.credential(t, "owner")), plainQueue).
		SendMessage(within(t), &azservicebus.Message{}, nil)
	wantSaid(t, err, "ExpiredToken")
}

func TestExpiredBearerTokenDetachesLinks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 3 * time.Minute // less than the service waits for a silent peer
		n := ecTenant(t)
		s := newServer(t, n.trusting(emulator.RoleAssignment{Principal: "owner", Rights: emulator.Manage}))
		p := opened(t, s)
		must(t, p.conn.SetDeadline(time.Time{}))
		status, _ := p.request("$cbs", amqp.Map{
			{Key: "operation", Value: "put-token"}, {Key: "type", Value: "jwt"}, {Key: "name", Value: "amqps://" + tlsHost + "/" + plainQueue},
		}, n.token(t, "owner", life, nil))
		if status != 202 {
			t.Fatalf("put-token: status %d", status)
		}
		start := time.Now()
		p.receiver(0, plainQueue)
		d := expect[*amqp.Detach](p)
		if d.Error == nil || d.Error.Condition != "amqp:unauthorized-access" || !strings.HasPrefix(d.Error.Description, "ExpiredToken") {
			t.Errorf("detached with %+v", d.Error)
		}
		if after := time.Since(start); after != life {
			t.Errorf("detached after %v", after)
		}
	})
}

// A credential that believes its tokens to live longer than they do: the SDK does not renew in time.
func TestReceiverWhoseBearerTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := ecTenant(t)
		s := newServer(t, n.trusting(emulator.RoleAssignment{Principal: "agent", Rights: emulator.Listen, Queue: plainQueue}))
		first := n.token(t, "agent", 10*time.Minute, nil)
		cred := &credential{issue: func() (string, time.Duration) { return first, 24 * time.Hour }}
		r := newReceiver(t, connectAs(t, s, cred), plainQueue, nil)
		start := time.Now()
		var err error
		for err == nil { // the first return after a lost link is empty and without an error
			_, err = r.ReceiveMessages(context.Background(), 1, nil)
		}
		wantSaid(t, err, "ExpiredToken")
		if after := time.Since(start); after < 10*time.Minute || after > 11*time.Minute {
			t.Errorf("the token ended after %v", after)
		}
	})
}

func TestBearerTokensAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := ecTenant(t)
		s := newServer(t, n.trusting(emulator.RoleAssignment{Principal: "owner", Rights: emulator.Manage}))
		cred := n.credential(t, "owner")
		c := connectAs(t, s, cred)
		r := newReceiver(t, c, plainQueue, nil)
		received := make(chan string)
		go func() { received <- string(receiveUntil(t, r).Body) }()
		time.Sleep(24 * time.Hour)
		send(t, c, plainQueue, "morning")
		if got := <-received; got != "morning" {
			t.Errorf("received %q", got)
		}
		cred.mu.Lock()
		defer cred.mu.Unlock()
		if cred.asked < 24 {
			t.Errorf("%d tokens of an hour each for a day", cred.asked)
		}
	})
}

func TestFaultsInIssuersAndRoles(t *testing.T) {
	good := ecTenant(t)
	cfg := standard()
	cfg.Issuers = []emulator.TokenIssuer{
		good.issuer(),
		good.issuer(),
		{Name: "no keys"},
		{Keys: good.issuer().Keys},
		{Name: "bad keys", Keys: map[string]crypto.PublicKey{"": good.key.Public(), "private": good.key, "text": "secret"}},
	}
	cfg.Roles = []emulator.RoleAssignment{
		{Principal: "owner", Rights: emulator.Manage},
		{Rights: emulator.Send},
		{Principal: "nothing"},
	}
	_, err := emulator.New(cfg)
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"token issuer 1: ", "exists already", "token issuer 2: ", "token issuer 3: ", "token issuer 4: ",
		`key "private"`, `key "text"`, "a key needs an id", "role assignment 1 ", "role assignment 2 ",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	for _, blameless := range []string{"token issuer 0", "role assignment 0"} {
		if strings.Contains(err.Error(), blameless) {
			t.Errorf("%s is blamed:\n%v", blameless, err)
		}
	}
}
