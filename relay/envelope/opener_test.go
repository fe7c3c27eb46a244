package envelope_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
)

// world is one portal and one agent that trust each other, and the portal's evil twin.
type world struct {
	portalKey, agentKey, agentSigning envelope.PrivateKey
	opener                            *envelope.Opener
	sealer                            *envelope.Sealer
	portal                            envelopetest.Portal
}

const (
	issuer = "https://portal.example.test"
	group  = "corp"
)

func signingKey(tb testing.TB) envelope.PrivateKey {
	tb.Helper()
	key, err := envelope.GenerateSigningKey()
	must(tb, err)
	return key
}

func sealingKey(tb testing.TB) envelope.PrivateKey {
	tb.Helper()
	key, err := envelope.GenerateSealingKey()
	must(tb, err)
	return key
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func newWorld(tb testing.TB) world {
	tb.Helper()
	return worldOf(tb, signingKey(tb), sealingKey(tb), signingKey(tb))
}

// newRSAWorld is newWorld of suite rsa-1.
func newRSAWorld(tb testing.TB) world {
	tb.Helper()
	return worldOf(tb, rsaKey(tb, envelope.PS256, 0), rsaKey(tb, envelope.RSAOAEP256, 0), rsaKey(tb, envelope.PS256, 1))
}

// worlds are one of each suite, and one of a portal and an agent whose keys are of different suites.
func worlds(tb testing.TB) map[string]world {
	tb.Helper()
	return map[string]world{
		"ec-1": newWorld(tb), "rsa-1": newRSAWorld(tb),
		"mixed": worldOf(tb, signingKey(tb), rsaKey(tb, envelope.RSAOAEP256, 3), rsaKey(tb, envelope.PS256, 3)),
	}
}

func worldOf(tb testing.TB, portalKey, agentKey, agentSigning envelope.PrivateKey) world {
	tb.Helper()
	w := world{portalKey: portalKey, agentKey: agentKey, agentSigning: agentSigning}
	var err error
	w.opener, err = envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: {w.portalKey.Public()}},
		SealingKeys: []envelope.PrivateKey{w.agentKey},
	})
	must(tb, err)
	recipients := []envelope.PublicKey{w.agentKey.Public()}
	w.sealer, err = envelope.NewSealer(envelope.SealerConfig{Issuer: issuer, Group: group, SigningKey: w.portalKey, Recipients: recipients})
	must(tb, err)
	w.portal = envelopetest.Portal{Issuer: issuer, Group: group, SigningKey: w.portalKey, Recipients: recipients}
	return w
}

// token crafts a token from an edited draft.
func (w world) token(tb testing.TB, edit func(*envelopetest.Draft)) []byte {
	tb.Helper()
	draft := w.portal.Draft()
	edit(draft)
	token, err := w.portal.Token(draft)
	must(tb, err)
	return token
}

// open verifies and decrypts.
func (w world) open(token []byte) (*writeback.Request, error) {
	verified, err := w.opener.Verify(token)
	if err != nil {
		return nil, err
	}
	return w.opener.Decrypt(verified)
}

func request(operation writeback.Operation) writeback.Request {
	now := time.Now().Truncate(time.Second)
	request := writeback.Request{
		Claims: writeback.Claims{
			Operation: operation, Actor: writeback.Actor{Kind: writeback.ActorSelf}, ReplySession: envelope.NewID(),
			AuthTime: now.Add(-time.Minute), Methods: []string{"otp"},
		},
		Subject: writeback.Subject{Kind: writeback.BySID, Value: "S-1-5-21-1-2-3-1104"},
	}
	switch operation {
	case writeback.OpReset:
		request.Password, request.Unlock = secret.NewString("Grüße \"\\\n\t\x01/ 🔑"), true
	case writeback.OpChange:
		request.Password, request.OldPassword = secret.NewString("new"), secret.NewString("old")
	case writeback.OpPing:
		request.Subject = writeback.Subject{}
	}
	return request
}

var secrets = cmp.Comparer(func(a, b secret.Value) bool { return a.Equal(b) })

func TestWhatIsSealedComesOutAsItWas(t *testing.T) {
	for suite, w := range worlds(t) {
		for _, operation := range []writeback.Operation{writeback.OpReset, writeback.OpChange, writeback.OpUnlock, writeback.OpCheck, writeback.OpPing} {
			t.Run(suite+"/"+string(operation), func(t *testing.T) { comesOutAsItWas(t, w, operation) })
		}
	}
}

func comesOutAsItWas(t *testing.T, w world, operation writeback.Operation) {
	t.Helper()
	want := request(operation)
	sealed, err := w.sealer.Seal(want)
	must(t, err)
	got, err := w.open(sealed.Token)
	must(t, err)
	want.Claims = sealed.Claims
	if diff := cmp.Diff(&want, got, secrets, cmpopts.EquateComparable(time.Time{})); diff != "" {
		t.Error(diff)
	}
	must(t, envelope.JudgeTimes(got.Claims, time.Now(), envelope.Limits{}))
	got.Destroy()
	if !got.Password.Empty() || !got.OldPassword.Empty() {
		t.Error("Destroy left a secret")
	}
}

func TestEveryKindOfUserID(t *testing.T) {
	w := newWorld(t)
	tests := map[string]struct {
		user map[string]any
		want writeback.Subject
	}{
		"sid":          {map[string]any{"sid": "S-1-5-21-1"}, writeback.Subject{Kind: writeback.BySID, Value: "S-1-5-21-1"}},
		"guid":         {map[string]any{"guid": "g"}, writeback.Subject{Kind: writeback.ByGUID, Value: "g"}},
		"upn":          {map[string]any{"upn": "ä@b"}, writeback.Subject{Kind: writeback.ByUPN, Value: "ä@b"}},
		"sam":          {map[string]any{"sam": `CORP\ada`}, writeback.Subject{Kind: writeback.BySAM, Value: `CORP\ada`}},
		"mail":         {map[string]any{"mail": "a@b"}, writeback.Subject{Kind: writeback.ByMail, Value: "a@b"}},
		"immutable id": {map[string]any{"immutable_id": "AAE="}, writeback.Subject{Kind: writeback.ByImmutableID, Value: "AAE="}},
		"assertion": {map[string]any{"immutable_id": "AAE=", "sid": "S-1-5-21-1"},
			writeback.Subject{Kind: writeback.BySID, Value: "S-1-5-21-1", AssertedImmutableID: "AAE="}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := w.open(w.token(t, func(d *envelopetest.Draft) { d.Sealed["user"] = test.user }))
			must(t, err)
			if got.Subject != test.want {
				t.Errorf("subject %+v, want %+v", got.Subject, test.want)
			}
		})
	}
}

func TestSwitchesOfAReset(t *testing.T) {
	w := newWorld(t)
	got, err := w.open(w.token(t, func(d *envelopetest.Draft) { delete(d.Sealed, "must_change"); delete(d.Sealed, "unlock") }))
	must(t, err)
	if got.MustChange || !got.Unlock {
		t.Errorf("defaults: must_change %t, unlock %t; want false, true", got.MustChange, got.Unlock)
	}
	got, err = w.open(w.token(t, func(d *envelopetest.Draft) { d.Sealed["must_change"] = true; d.Sealed["unlock"] = false }))
	must(t, err)
	if !got.MustChange || got.Unlock {
		t.Errorf("set: must_change %t, unlock %t; want true, false", got.MustChange, got.Unlock)
	}
}

func TestPasswordsSurviveEveryEscape(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct{ quoted, want string }{
		{`"plain"`, "plain"}, {`""`, ""}, {`" two  spaces "`, " two  spaces "},
		{`"\"\\\/\b\f\n\r\t"`, "\"\\/\b\f\n\r\t"}, {`"\u00e9\u20AC"`, "é€"}, {`"\ud83d\uDD11x"`, "🔑x"},
		{`"e\u0301"`, "e\u0301"}, {`"\u0000"`, "\x00"},
	} {
		token := w.token(t, func(d *envelopetest.Draft) { d.RawSealed = sealedWithPassword(d, test.quoted) })
		got, err := w.open(token)
		if err != nil {
			t.Errorf("%s: %v", test.quoted, err)
			continue
		}
		if !got.Password.Equal(secret.NewString(test.want)) {
			t.Errorf("%s: another password came out", test.quoted)
		}
	}
}

// sealedWithPassword writes the draft's sealed part with a password given as JSON text.
func sealedWithPassword(d *envelopetest.Draft, quoted string) []byte {
	text := `{"jti":"` + d.Claims["jti"].(string) + `","iss":"` + issuer + `","aud":"` + group + `","op":"reset","user":{"upn":"a@b"},"password":` + quoted + `}`
	return envelopetest.Pad([]byte(text))
}

func TestDecryptTakesOnlyWhatItsOwnVerifyMade(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	good := w.token(t, func(*envelopetest.Draft) {})
	verified, err := w.opener.Verify(good)
	must(t, err)
	refused, err := w.opener.Verify(w.token(t, func(d *envelopetest.Draft) { d.Claims["new"] = 1 }))
	if err == nil {
		t.Fatal("an unknown claim was accepted")
	}
	for name, try := range map[string]func() (*writeback.Request, error){
		"zero value":       func() (*writeback.Request, error) { return w.opener.Decrypt(envelope.Verified{}) },
		"other opener":     func() (*writeback.Request, error) { return other.opener.Decrypt(verified) },
		"refused claims":   func() (*writeback.Request, error) { return w.opener.Decrypt(refused) },
		"zero opener":      func() (*writeback.Request, error) { return new(envelope.Opener).Decrypt(envelope.Verified{}) },
		"zero opener real": func() (*writeback.Request, error) { return new(envelope.Opener).Decrypt(verified) },
	} {
		if got, err := try(); got != nil || writeback.ReasonOf(err) != writeback.AgentInternal {
			t.Errorf("%s: %v, %v; want refused as agent.internal", name, got, err)
		}
	}
	if _, err := w.opener.Decrypt(verified); err != nil {
		t.Errorf("the real one: %v", err)
	}
}

func TestTheDigestNamesTheSignedContentNotTheSignature(t *testing.T) {
	w := newWorld(t)
	token := w.token(t, func(*envelopetest.Draft) {})
	malleated, err := envelopetest.Malleated(token)
	must(t, err)
	if string(malleated) == string(token) {
		t.Fatal("nothing was malleated")
	}
	first, err := w.opener.Verify(token)
	must(t, err)
	second, err := w.opener.Verify(malleated)
	must(t, err)
	if first.Claims().Digest != second.Claims().Digest {
		t.Error("the other signature of the same content has another digest")
	}
	third, err := w.opener.Verify(w.token(t, func(*envelopetest.Draft) {}))
	must(t, err)
	if third.Claims().Digest == first.Claims().Digest {
		t.Error("another request has the same digest")
	}
}

func TestOneOfSeveralAgentsAndKeys(t *testing.T) {
	w := newWorld(t)
	old, fresh := sealingKey(t), sealingKey(t)
	opener, err := envelope.NewOpener(envelope.OpenerConfig{
		Group: group, Issuers: map[string][]envelope.PublicKey{issuer: {signingKey(t).Public(), w.portalKey.Public()}},
		SealingKeys: []envelope.PrivateKey{fresh, old},
	})
	must(t, err)
	for name, test := range map[string]struct {
		sealedFor []envelope.PublicKey
		want      writeback.Reason
	}{
		"both keys":         {[]envelope.PublicKey{old.Public(), fresh.Public(), w.agentKey.Public()}, writeback.ReasonOK},
		"only the old key":  {[]envelope.PublicKey{w.agentKey.Public(), old.Public()}, writeback.ReasonOK},
		"only other agents": {[]envelope.PublicKey{w.agentKey.Public()}, writeback.EnvelopeNotForUs},
	} {
		portal := w.portal
		portal.Recipients = test.sealedFor
		token, err := portal.Token(portal.Draft())
		must(t, err)
		verified, err := opener.Verify(token)
		must(t, err)
		if _, err := opener.Decrypt(verified); writeback.ReasonOf(err) != test.want {
			t.Errorf("%s: %v, want %s", name, err, test.want)
		}
	}
}

func TestAnOpenerRefusesKeysOfTheWrongUse(t *testing.T) {
	sign, seal := signingKey(t), sealingKey(t)
	good := func() envelope.OpenerConfig {
		return envelope.OpenerConfig{
			Group: group, Issuers: map[string][]envelope.PublicKey{issuer: {sign.Public()}}, SealingKeys: []envelope.PrivateKey{seal},
		}
	}
	for name, spoil := range map[string]func(*envelope.OpenerConfig){
		"sealing key signs":   func(c *envelope.OpenerConfig) { c.Issuers[issuer] = []envelope.PublicKey{seal.Public()} },
		"signing key opens":   func(c *envelope.OpenerConfig) { c.SealingKeys = []envelope.PrivateKey{sign} },
		"zero issuer key":     func(c *envelope.OpenerConfig) { c.Issuers[issuer] = []envelope.PublicKey{{}} },
		"zero sealing key":    func(c *envelope.OpenerConfig) { c.SealingKeys = []envelope.PrivateKey{{}} },
		"no sealing key":      func(c *envelope.OpenerConfig) { c.SealingKeys = nil },
		"no group":            func(c *envelope.OpenerConfig) { c.Group = "" },
		"issuer with a space": func(c *envelope.OpenerConfig) { c.Issuers["a b"] = []envelope.PublicKey{sign.Public()} },
		"key of two issuers":  func(c *envelope.OpenerConfig) { c.Issuers["other"] = []envelope.PublicKey{sign.Public()} },
	} {
		config := good()
		spoil(&config)
		if _, err := envelope.NewOpener(config); writeback.ReasonOf(err) != writeback.AgentMisconfigured {
			t.Errorf("%s: %v, want agent.misconfigured", name, err)
		}
	}
	if _, err := envelope.NewOpener(good()); err != nil {
		t.Errorf("unspoiled: %v", err)
	}
}

func TestErrorsNeverShowThePassword(t *testing.T) {
	const password = "hunter2-needle"
	w := newWorld(t)
	for name, sealed := range map[string]string{
		"in the place of a name": `{"` + password + `":1}`,
		"in a broken text":       `{"password":"` + password,
		"as user id":             `{"user":{"upn":"` + password + `","sid":"x"}}`,
		"as the id":              `{"jti":"` + password + `"}`,
	} {
		_, err := w.open(w.token(t, func(d *envelopetest.Draft) { d.RawSealed = envelopetest.Pad([]byte(sealed)) }))
		if err == nil || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v", name, err)
		}
		for cause := err; cause != nil; cause = errors.Unwrap(cause) {
			if strings.Contains(cause.Error(), password) {
				t.Errorf("%s: a cause shows it: %v", name, cause)
			}
		}
	}
}

func TestPeekReadsWhatTheSenderNeeds(t *testing.T) {
	w := newWorld(t)
	sealed, err := w.sealer.Seal(request(writeback.OpUnlock))
	must(t, err)
	got, err := envelope.Peek(sealed.Token)
	must(t, err)
	want := envelope.Peeked{
		ID: sealed.Claims.ID, Operation: "unlock", ExpiresAt: sealed.Claims.ExpiresAt,
		Session: sealed.Claims.ReplySession, Digest: sealed.Claims.Digest,
	}
	if got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	forged, err := envelope.Peek(envelopetest.Forged(sealed.Token))
	if err != nil || forged != want {
		t.Errorf("forged: %+v, %v", forged, err)
	}
	for _, token := range []string{"", "a.b.c", "e30.e30.AAAA"} {
		if _, err := envelope.Peek([]byte(token)); writeback.ReasonOf(err) != writeback.EnvelopeMalformed {
			t.Errorf("%q: %v", token, err)
		}
	}
}

func TestATokenIsKnownByItsShape(t *testing.T) {
	for text, want := range map[string]bool{
		"e30.e30.AAAA": true, "e30.AAAA.AAAA": true, "": false, "e30.e30": false, "e30.e30.AAAA\n": false, "e30.e 0.AAAA": false,
		"e30.\x1b[2J.AAAA": false, "AAAA.e30.AAAA": false, "e30.e30.AAAA.e30": false,
	} {
		if got := envelope.LooksLikeToken([]byte(text)); got != want {
			t.Errorf("%q: %t", text, got)
		}
	}
}

// What a refused request asks for decides what its expiry means: nobody can have written for a ping.
func TestARefusedRequestSaysWhatItAskedFor(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		edit func(*envelopetest.Draft)
		want writeback.Operation
	}{
		"exp before iat":     {all(asOperation(writeback.OpPing, ""), claim("exp", int64(1))), writeback.OpPing},
		"an unknown claim":   {all(asOperation(writeback.OpCheck, ""), claim("new", 1)), writeback.OpCheck},
		"an unknown op":      {claim("op", "enrol"), ""},
		"an op of no form":   {claim("op", "ping\n"), ""},
		"an op of no string": {claim("op", 1), ""},
	} {
		draft := w.portal.Draft()
		c.edit(draft)
		token, err := w.portal.Token(draft)
		must(t, err)
		verified, err := w.opener.Verify(token)
		if err == nil || !verified.Answerable() || verified.Claims().Operation != c.want {
			t.Errorf("%s: %q, want %q (%v)", name, verified.Claims().Operation, c.want, err)
		}
	}
}
