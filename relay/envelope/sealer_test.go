package envelope_test

import (
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
)

func TestASealerRefusesWhatTheAgentWould(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]struct {
		edit func(*writeback.Request)
		want writeback.Reason
	}{
		"good":             {func(*writeback.Request) {}, writeback.ReasonOK},
		"empty password":   {func(r *writeback.Request) { r.Password = secret.NewString("") }, writeback.ReasonOK}, // the guard's word
		"not UTF-8":        {func(r *writeback.Request) { r.Password = secret.NewString("a\xff") }, writeback.PasswordInvalidCharacters},
		"endless password": {func(r *writeback.Request) { r.Password = secret.NewString(strings.Repeat("a", 4097)) }, writeback.PasswordTooLong},
		"no user":          {func(r *writeback.Request) { r.Subject = writeback.Subject{} }, writeback.RequestUnsupported},
		"empty id":         {func(r *writeback.Request) { r.Subject.Value = "" }, writeback.EnvelopeUndecryptable},
		"id beside itself": {func(r *writeback.Request) {
			r.Subject = writeback.Subject{Kind: writeback.ByImmutableID, Value: "a", AssertedImmutableID: "a"}
		}, writeback.EnvelopeUndecryptable},
		"unknown op":           {func(r *writeback.Request) { r.Operation = "delete" }, writeback.RequestUnsupported},
		"no reply session":     {func(r *writeback.Request) { r.ReplySession = "" }, writeback.EnvelopeMalformed},
		"own short id":         {func(r *writeback.Request) { r.ID = "1" }, writeback.EnvelopeUndecryptable},
		"admin without id":     {func(r *writeback.Request) { r.Actor = writeback.Actor{Kind: writeback.ActorAdmin} }, writeback.EnvelopeMalformed},
		"no actor":             {func(r *writeback.Request) { r.Actor = writeback.Actor{} }, writeback.EnvelopeMalformed},
		"line end in a method": {func(r *writeback.Request) { r.Methods = []string{"a\n"} }, writeback.EnvelopeMalformed},
		"expired before issued": {func(r *writeback.Request) {
			r.IssuedAt, r.ExpiresAt = time.Unix(100, 0), time.Unix(99, 0)
		}, writeback.EnvelopeMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			draft := request(writeback.OpReset)
			test.edit(&draft)
			sealed, err := w.sealer.Seal(draft)
			if writeback.ReasonOf(err) != test.want {
				t.Errorf("%v, want %s", err, test.want)
			}
			if err != nil && sealed.Token != nil {
				t.Error("a token beside the error")
			}
		})
	}
}

func TestTheLengthOfAPasswordDoesNotShow(t *testing.T) {
	w := newWorld(t)
	lengths := make(map[int]bool)
	for _, password := range []string{"a", "aaaaaaaaaaaa", strings.Repeat("a", 60)} {
		draft := request(writeback.OpReset)
		draft.Password = secret.NewString(password)
		sealed, err := w.sealer.Seal(draft)
		must(t, err)
		lengths[len(sealed.Token)] = true
	}
	if len(lengths) != 1 {
		t.Errorf("tokens of %d lengths", len(lengths))
	}
}

func TestSealLeavesTheCallersSecret(t *testing.T) {
	w := newWorld(t)
	draft := request(writeback.OpReset)
	want := draft.Password.Reveal()
	_, err := w.sealer.Seal(draft)
	must(t, err)
	if !draft.Password.Equal(secret.New(want)) {
		t.Error("the password was changed or destroyed")
	}
}

func TestASealerRefusesItsConfiguration(t *testing.T) {
	sign, seal := signingKey(t), sealingKey(t)
	for name, spoil := range map[string]func(*envelope.SealerConfig){
		"no issuer":             func(c *envelope.SealerConfig) { c.Issuer = "" },
		"no group":              func(c *envelope.SealerConfig) { c.Group = "" },
		"no key":                func(c *envelope.SealerConfig) { c.SigningKey = envelope.PrivateKey{} },
		"a sealing key":         func(c *envelope.SealerConfig) { c.SigningKey = seal },
		"nobody to seal for":    func(c *envelope.SealerConfig) { c.Recipients = nil },
		"sealing for a signer":  func(c *envelope.SealerConfig) { c.Recipients = []envelope.PublicKey{sign.Public()} },
		"sealing for nobody":    func(c *envelope.SealerConfig) { c.Recipients = []envelope.PublicKey{{}} },
		"sealing for too many":  func(c *envelope.SealerConfig) { c.Recipients = make([]envelope.PublicKey, 65) },
		"a life over 120 s":     func(c *envelope.SealerConfig) { c.Life = 121 * time.Second },
		"a life under a second": func(c *envelope.SealerConfig) { c.Life = time.Millisecond },
	} {
		config := envelope.SealerConfig{Issuer: issuer, Group: group, SigningKey: sign, Recipients: []envelope.PublicKey{seal.Public()}}
		spoil(&config)
		if _, err := envelope.NewSealer(config); writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestIDsAreNewAndLongEnough(t *testing.T) {
	seen := make(map[string]bool)
	for range 100 {
		id := envelope.NewID()
		if len(id) != 22 || seen[id] {
			t.Fatalf("id %q", id)
		}
		seen[id] = true
	}
}
