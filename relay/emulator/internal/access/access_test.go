package access_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator/internal/access"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// keys are two keys: one of the namespace, one of queue "q".
func keys(path, name string) (access.Key, bool) {
	switch {
	case name == "all":
		return access.Key{Name: name, Secret: secret.NewString("k1"), Rights: access.Manage}, true
	case name == "one" && path == "q":
		return access.Key{Name: name, Secret: secret.NewString("k2"), Rights: access.Send}, true
	}
	return access.Key{}, false
}

// token signs what it is given, encoded as the SDK does.
func token(resource, key, name string, se int64) string {
	sr := strings.ToLower(url.QueryEscape(resource))
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%s\n%d", sr, se)
	sig := url.QueryEscape(base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return fmt.Sprintf("SharedAccessSignature sr=%s&sig=%s&se=%d&skn=%s", sr, sig, se, name)
}

func TestVerifySAS(t *testing.T) {
	later := epoch.Add(time.Hour).Unix()
	good := token("amqps://ns.example/q", "k1", "all", later)
	tests := []struct {
		name, token, audience string
		refused               string // start of the text, "" for a good one
	}{
		{"as the SDK signs", good, "amqps://ns.example/q", ""},
		{"for a node of the queue", good, "amqps://ns.example/q/$management", ""},
		{"another scheme and case", good, "sb://NS.example/Q/", ""},
		{"with a port", token("amqp://ns.example:5672/q", "k1", "all", later), "amqp://ns.example/q", ""},
		{"whole namespace", token("sb://ns.example/", "k1", "all", later), "amqps://ns.example/other", ""},
		{"key of the queue", token("sb://ns.example/q", "k2", "one", later), "sb://ns.example/q", ""},
		{"key of the queue for the namespace", token("sb://ns.example", "k2", "one", later), "sb://ns.example/q", "InvalidSignature"},
		{"other queue", good, "amqps://ns.example/other", "InvalidAudience"},
		{"queue with the same beginning", good, "amqps://ns.example/q2", "InvalidAudience"},
		{"namespace with a queue's token", good, "amqps://ns.example/", "InvalidAudience"},
		{"other namespace", good, "amqps://else.example/q", "InvalidAudience"},
		{"wrong key", token("sb://ns.example/q", "bad", "all", later), "sb://ns.example/q", "InvalidSignature"},
		{"unknown key", token("sb://ns.example/q", "k1", "who", later), "sb://ns.example/q", "InvalidSignature"},
		{"expired this second", token("sb://ns.example/q", "k1", "all", epoch.Unix()), "sb://ns.example/q", "ExpiredToken"},
		{"expiry changed", strings.Replace(good, fmt.Sprint(later), fmt.Sprint(later+1), 1), "amqps://ns.example/q", "InvalidSignature"},
		{"resource changed", strings.Replace(good, "%2fq", "%2fp", 1), "amqps://ns.example/p", "InvalidSignature"},
		{"resource twice", good + "&sr=sb%3a%2f%2fns.example%2f", "amqps://ns.example/q", "MalformedToken"},
		{"signature is no base64", "SharedAccessSignature sr=a&sig=%21&se=1&skn=all", "a", "InvalidSignature"},
		{"signature is no encoding", "SharedAccessSignature sr=a&sig=%zz&se=1&skn=all", "a", "InvalidSignature"},
		{"resource is no encoding", "SharedAccessSignature sr=%zz&sig=a&se=1&skn=all", "a", "MalformedToken"},
		{"name is no encoding", "SharedAccessSignature sr=a&sig=a&se=1&skn=%zz", "a", "MalformedToken"},
		{"no expiry", "SharedAccessSignature sr=a&sig=a&skn=all", "a", "MalformedToken"},
		{"no prefix", strings.TrimPrefix(good, "SharedAccessSignature "), "amqps://ns.example/q", "MalformedToken"},
		{"nothing", "", "", "MalformedToken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			claim, err := access.VerifySAS(tt.token, tt.audience, keys, epoch)
			if tt.refused == "" {
				if err != nil || !claim.Expires.Equal(epoch.Add(time.Hour)) || claim.Resource.Host != "ns.example" {
					t.Errorf("%+v, %v", claim, err)
				}
				return
			}
			var denied *access.Denied
			if !errors.As(err, &denied) || denied.Status != 401 || !strings.HasPrefix(denied.Text, tt.refused) {
				t.Errorf("%+v, %v; want 401 %s", claim, err, tt.refused)
			}
		})
	}
}

func TestRights(t *testing.T) {
	for _, tt := range []struct {
		have, want access.Rights
		ok         bool
	}{
		{access.Send, access.Send, true},
		{access.Send, access.Listen, false},
		{access.Send, access.Send | access.Listen, false},
		{access.Listen, access.Manage, false},
		{access.Send | access.Listen, access.Manage, false},
		{access.Manage, access.Send | access.Listen | access.Manage, true},
	} {
		if got := tt.have.Include(tt.want); got != tt.ok {
			t.Errorf("%b includes %b: %v", tt.have, tt.want, got)
		}
	}
}

func claim(path string, r access.Rights, life time.Duration) access.Claim {
	return access.Claim{Resource: access.Resource{Host: "h", Path: path}, Rights: r, Expires: epoch.Add(life)}
}

func TestClaims(t *testing.T) {
	var c access.Claims
	if _, expires := c.NextExpiry(epoch); expires || c.Allow("q", access.Send, epoch) {
		t.Error("no claims, yet something is allowed or expires")
	}
	c.Put(claim("q", access.Send, time.Minute))
	c.Put(claim("p", access.Listen, time.Hour))
	for _, tt := range []struct {
		path string
		want access.Rights
		at   time.Duration
		ok   bool
	}{
		{"q", access.Send, 0, true},
		{"q/$deadletterqueue", access.Send, 0, true},
		{"q", access.Listen, 0, false},
		{"qq", access.Send, 0, false},
		{"p", access.Listen, time.Minute, true},
		{"q", access.Send, time.Minute, false},
	} {
		if got := c.Allow(tt.path, tt.want, epoch.Add(tt.at)); got != tt.ok {
			t.Errorf("%s %b after %v: %v", tt.path, tt.want, tt.at, got)
		}
	}
	if next, _ := c.NextExpiry(epoch); !next.Equal(epoch.Add(time.Minute)) {
		t.Errorf("next expiry %v", next)
	}
	if next, _ := c.NextExpiry(epoch.Add(time.Minute)); !next.Equal(epoch.Add(time.Hour)) {
		t.Errorf("next expiry after the first %v", next)
	}
	c.Put(claim("q", access.Send, 2*time.Hour)) // renewed
	if !c.Allow("q", access.Send, epoch.Add(time.Hour)) {
		t.Error("a renewed claim has ended with its predecessor")
	}
}

func TestClaimsAreBounded(t *testing.T) {
	var c access.Claims
	n := 0
	for ; n < 1<<20 && c.Put(claim(fmt.Sprint(n), access.Send, time.Hour)); n++ {
	}
	if n == 1<<20 {
		t.Fatal("a connection may gather claims without end")
	}
	if !c.Put(claim("0", access.Send, 2*time.Hour)) {
		t.Error("a full table refuses a renewal")
	}
}
