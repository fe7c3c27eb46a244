package ldapwriter_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// acceptError is AD's refusal of a bind with a sub-code.
func acceptError(data string) string {
	return "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data " + data + ", v3839\x00"
}

// Only these three prove a password, and only 52e disproves it.
func TestWhatAProbeProves(t *testing.T) {
	for name, row := range map[string]struct {
		code       int
		diagnostic string
		want       ldapwriter.ProbeResult
	}{
		"success":              {0, "", ldapwriter.ProbeOurs},
		"password expired":     {49, acceptError("532"), ldapwriter.ProbeOurs},
		"must change":          {49, acceptError("773"), ldapwriter.ProbeOurs},
		"wrong":                {49, acceptError("52e"), ldapwriter.ProbeNotOurs},
		"disabled":             {49, acceptError("533"), ldapwriter.ProbeInconclusive},
		"account expired":      {49, acceptError("701"), ldapwriter.ProbeInconclusive},
		"locked":               {49, acceptError("775"), ldapwriter.ProbeInconclusive},
		"restricted":           {49, acceptError("52f"), ldapwriter.ProbeInconclusive},
		"no such user":         {49, acceptError("525"), ldapwriter.ProbeInconclusive},
		"without a sub-code":   {49, "80090308: LdapErr", ldapwriter.ProbeInconclusive},
		"sub-code in bad code": {53, acceptError("52e"), ldapwriter.ProbeInconclusive},
		"busy":                 {51, "busy", ldapwriter.ProbeInconclusive},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t)
			d := fake.directory(t)
			account := person(t, d, "alice")
			if row.code != 0 {
				fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Answer, Code: row.code, Diagnostic: row.diagnostic})
			}
			got, err := d.Probe(deadline(t), account, secret.NewString(fake.userPassword))
			if got != row.want || (err != nil) != (row.want == ldapwriter.ProbeInconclusive) {
				t.Errorf("%s (%v), want %s", got, err, row.want)
			}
		})
	}
}

func TestProbeThatGetsNoAnswerIsInconclusive(t *testing.T) {
	t.Parallel() // it waits
	fake := startFake(t)
	d := fake.directory(t, quick)
	account := person(t, d, "alice")
	for _, effect := range []adtest.Effect{adtest.DropBefore, adtest.Hang} {
		remove := fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: effect})
		got, err := d.Probe(deadline(t), account, secret.NewString(fake.userPassword))
		remove()
		if got != ldapwriter.ProbeInconclusive || writeback.ReasonOf(err) != writeback.DirectoryUnavailable {
			t.Errorf("%s: %s (%v)", effect, got, err)
		}
	}
}

func TestProbeBindsOnceOnAConnectionOfItsOwn(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	connections, binds := fake.fake.Connections(), fake.fake.Binds()
	if got, err := d.Probe(deadline(t), account, secret.NewString("wrong")); got != ldapwriter.ProbeNotOurs {
		t.Errorf("%s (%v)", got, err)
	}
	if fake.fake.Connections()-connections != 1 || fake.fake.Binds()-binds != 1 {
		t.Errorf("%d connections, %d binds, want one of each", fake.fake.Connections()-connections, fake.fake.Binds()-binds)
	}
	if state, _ := fake.fake.User("alice"); state.BadPasswords != 1 {
		t.Errorf("%d bad passwords: the caller reckons with exactly one", state.BadPasswords)
	}
	if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
		t.Errorf("the delegated account's connections are as before: %v", err)
	}
}

// Each sub-code of the delegated account's own refusal has a hint that names it.
func TestBindHints(t *testing.T) {
	for diagnostic, row := range map[string]struct {
		code int
		hint string
	}{
		acceptError("525"): {49, "data 525"}, acceptError("52e"): {49, "data 52e"}, acceptError("52f"): {49, "data 52f"},
		acceptError("530"): {49, "data 530"}, acceptError("531"): {49, "data 531"}, acceptError("532"): {49, "data 532"},
		acceptError("533"): {49, "data 533"}, acceptError("701"): {49, "data 701"}, acceptError("773"): {49, "data 773"},
		acceptError("775"): {49, "data 775"}, acceptError("99"): {49, "see the cause"},
		"80090346: LdapErr: DSID-0C090711, comment: AcceptSecurityContext error, data 35b, v1db1":            {49, "channel binding"},
		"00002028: LdapErr: DSID-0C090259, comment: The server requires binds to turn on integrity checking": {8, "signing or TLS"},
		"00002027: LdapErr: something else": {53, "see the cause"},
	} {
		fake := startFake(t)
		d := fake.directory(t)
		fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Answer, Code: row.code, Diagnostic: diagnostic})
		_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
		wantReason(t, err, writeback.DirectoryAccessDenied)
		if got := asError(t, err).Hint; !strings.Contains(got, row.hint) {
			t.Errorf("%s: hint %q, want %q in it", diagnostic, got, row.hint)
		}
		if status := d.Status()[0]; status.Connected || status.LastError == "" {
			t.Errorf("%s: status %+v, want the refusal in it", diagnostic, status)
		}
	}
}

func TestBusyControllerIsUnavailable(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Answer, Code: 51, Diagnostic: "busy"})
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.DirectoryUnavailable)
}

func TestUnreadableBindPasswordIsMisconfigured(t *testing.T) {
	fake := startFake(t)
	cause := errors.New("permission denied")
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) {
		c.BindPassword = func(context.Context) (secret.Value, error) { return secret.Value{}, cause }
	})
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.AgentMisconfigured)
	if !errors.Is(err, cause) || fake.fake.Connections() != 0 {
		t.Errorf("%v, %d connections", err, fake.fake.Connections())
	}
}

func TestReferralsAreNotFollowed(t *testing.T) {
	const referral = "0000202B: RefErr: DSID-03100835, data 0, 1 access points\n\tref 1: 'other.example.com'\n\x00"
	for name, row := range map[string]struct {
		subject func(*adtest.Server) writeback.Subject
		want    writeback.Reason
	}{
		"search": {func(*adtest.Server) writeback.Subject {
			return writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
		}, writeback.AgentMisconfigured},
		"GUID of another domain": {func(s *adtest.Server) writeback.Subject {
			state, _ := s.User("alice")
			return writeback.Subject{Kind: writeback.ByGUID, Value: state.GUID.String()}
		}, writeback.UserNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t)
			d := fake.directory(t)
			person(t, d, "bob") // connected, and the policy is known
			fake.fake.Inject(adtest.Fault{On: adtest.OnSearch, Effect: adtest.Answer, Code: 10, Diagnostic: referral})
			_, err := d.Resolve(deadline(t), row.subject(fake.fake))
			wantReason(t, err, row.want)
		})
	}
}

func TestAccountThatIsGone(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	account.GUID = writeback.GUID{1, 2, 3}
	_, err := d.PasswordState(deadline(t), account)
	wantReason(t, err, writeback.UserNotFound)
	wantReason(t, d.Write(deadline(t), account, reset(newPassword)), writeback.UserNotFound)
	got, err := d.Probe(deadline(t), account, secret.NewString("x"))
	wantReason(t, err, writeback.UserNotFound)
	if got != ldapwriter.ProbeInconclusive {
		t.Errorf("probe %s", got)
	}
}

func TestClosedDirectoryKeepsNoConnection(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	person(t, d, "alice")
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if got := d.Status()[0]; got.Connections != 0 || got.Connected {
		t.Errorf("%+v", got)
	}
	person(t, d, "alice") // still possible, and still leaves nothing behind
	if got := d.Status()[0].Connections; got != 0 {
		t.Errorf("%d connections", got)
	}
}

func TestClockOffsetIsTheControllers(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) { o.Clock = ahead })
	d := fake.directory(t)
	account := person(t, d, "alice")
	for what, offset := range map[string]int{
		"account": int(account.Password.ClockOffset().Minutes() + 0.5), "status": int(d.Status()[0].ClockOffset.Minutes() + 0.5),
	} {
		if offset != 7 {
			t.Errorf("%s: %d minutes ahead, want 7", what, offset)
		}
	}
}
