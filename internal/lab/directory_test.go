package lab_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

func TestLogonShowsTheStateOfAnAccount(t *testing.T) {
	t.Parallel()
	directory := openDirectory(t)
	wrong := secret.NewString("not-the-password")
	for name, test := range map[string]struct {
		login    string
		password secret.Value
		want     string
	}{
		"right":            {"ada", directory.First("ada"), ""},
		"wrong":            {"ben", wrong, "52e"},
		"somebody else's":  {"ben", directory.First("ada"), "52e"},
		"locked":           {"finn", directory.First("finn"), "775"},
		"outside of scope": {"jan", directory.First("jan"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, err := directory.Logon(t.Context(), test.login, test.password)
			if err != nil || code != test.want {
				t.Errorf("got %q, %v, want %q", code, err, test.want)
			}
		})
	}
}

func TestLogonSaysWhyThereIsNoAnswer(t *testing.T) {
	t.Parallel()
	directory := openDirectory(t)
	remove := directory.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.DropBefore})
	defer remove()
	if code, err := directory.Logon(t.Context(), "ada", directory.First("ada")); err == nil {
		t.Errorf("got the answer %q of a directory that gave none", code)
	}
}

func TestSubjectNamesTheSamePersonInEveryWay(t *testing.T) {
	t.Parallel()
	directory := openDirectory(t)
	for kind, want := range map[writeback.IdentifierKind]string{
		writeback.BySID: "S-1-5-21-", writeback.ByGUID: "-", writeback.ByUPN: "emil@corp.example.com", writeback.BySAM: `CORP\emil`,
		writeback.ByImmutableID: base64.StdEncoding.EncodeToString([]byte("emil\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")),
	} {
		subject, err := directory.Subject("emil", kind)
		if err != nil || subject.Kind != kind || !strings.Contains(subject.Value, want) {
			t.Errorf("%s: got %+v, %v, want %s", kind, subject, err, want)
		}
	}
	if subject, err := directory.Subject("nadia", writeback.BySID); err == nil {
		t.Errorf("somebody who does not exist has the SID %q", subject.Value)
	}
	if subject, err := directory.Subject("emil", writeback.ByMail); err == nil {
		t.Errorf("somebody without a mail address has %q", subject.Value)
	}
}

// TestEveryPasswordIsNew: neither two people nor two runs share one.
func TestEveryPasswordIsNew(t *testing.T) {
	t.Parallel()
	first, second := openDirectory(t), openDirectory(t)
	if first.First("ada").Equal(first.First("ben")) || first.First("ada").Equal(second.First("ada")) {
		t.Error("two passwords are the same")
	}
}

// TestProofsSeeWhatDidNotHappen: a proof that cannot fail proves nothing.
func TestProofsSeeWhatDidNotHappen(t *testing.T) {
	t.Parallel()
	directory := openDirectory(t)
	other := secret.NewString("Never-Set-1234")
	for name, test := range map[string]struct {
		proof lab.Proof
		fault string
	}{
		"the new password was not set": {lab.Prove(t.Context(), directory, "ada", other, false), `the new password was answered with "52e", not ""`},
		"the old password still works": {lab.Prove(t.Context(), directory, "ben", directory.First("ben"), false), `the old password was answered with "", not "52e"`},
		"must-change was not set":      {lab.Prove(t.Context(), directory, "dana", directory.First("dana"), true), `was answered with "", not "773"`},
		"locked":                       {lab.Prove(t.Context(), directory, "finn", directory.First("finn"), false), `was answered with "775"`},
		"fewer writes":                 {lab.ProveWrites(directory, 1, "ada", "ben"), "1 writes were expected"},
		"as many writes":               {lab.ProveWrites(directory, 0, "ada", "ben"), ""},
	} {
		if test.fault == "" && test.proof.Fault != "" || !strings.Contains(test.proof.Fault, test.fault) {
			t.Errorf("%s: fault %q, want %q", name, test.proof.Fault, test.fault)
		}
	}
}
