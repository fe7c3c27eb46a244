package ldapwriter_test

import (
	"encoding/base64"
	"slices"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

func mailbox(login, mail string) func(*adtest.Options) {
	return func(o *adtest.Options) {
		for i := range o.Domain.Users {
			if o.Domain.Users[i].Login == login {
				o.Domain.Users[i].Mail = mail
			}
		}
	}
}

func TestMail(t *testing.T) {
	byMail := writeback.Subject{Kind: writeback.ByMail, Value: "O'Brien+(star*)@Example.com"}
	fake := startFake(t, mailbox("alice", "o'brien+(star*)@example.com"))
	d := fake.directory(t)
	account, err := d.Resolve(deadline(t), byMail)
	if err != nil || account.SAMAccountName != "alice" || len(account.Warnings) != 0 {
		t.Errorf("%q, warnings %v (%v)", account.SAMAccountName, account.Warnings, err)
	}
	twice := startFake(t, mailbox("alice", byMail.Value), mailbox("bob", byMail.Value))
	_, err = twice.directory(t).Resolve(deadline(t), byMail)
	wantReason(t, err, writeback.UserAmbiguous)
}

// A contact has a person's category and may have a user's address; it is neither found nor in the way.
func TestContactsAreNoUsers(t *testing.T) {
	fake := startFake(t, mailbox("alice", "shared@example.com"), func(o *adtest.Options) {
		o.Domain.Contacts = []adtest.Contact{{Name: "Alice outside", OU: "OU=Staff", Mail: "shared@example.com"}, {Name: "Supplier", OU: "OU=Staff", Mail: "sales@example.com"}}
	})
	d := fake.directory(t)
	if account, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByMail, Value: "shared@example.com"}); err != nil || account.SAMAccountName != "alice" {
		t.Errorf("%q (%v)", account.SAMAccountName, err)
	}
	_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByMail, Value: "sales@example.com"})
	wantReason(t, err, writeback.UserNotFound)
}

// A search by immutable id scans the whole directory until somebody makes an index; every other identifier has one.
func TestScans(t *testing.T) {
	for _, indexed := range []bool{false, true} {
		fake := startFake(t, func(o *adtest.Options) { o.Domain.AnchorIndexed = indexed }, mailbox("alice", "alice@example.com"))
		d := fake.directory(t)
		alice := person(t, d, "alice")
		for _, subject := range []writeback.Subject{
			{Kind: writeback.ByGUID, Value: alice.GUID.String()}, {Kind: writeback.BySID, Value: alice.SID},
			{Kind: writeback.ByUPN, Value: "alice" + userSuffix}, {Kind: writeback.BySAM, Value: `CORP\alice`}, {Kind: writeback.ByMail, Value: "alice@example.com"},
			{Kind: writeback.ByUPN, Value: "alice" + userSuffix, AssertedImmutableID: anchorOf("alice")},
		} {
			account, err := d.Resolve(deadline(t), subject)
			if err != nil || fake.fake.Scans() != 0 || len(account.Warnings) != 0 {
				t.Errorf("%s: %d scans, warnings %v (%v)", subject.Kind, fake.fake.Scans(), account.Warnings, err)
			}
		}
		account, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByImmutableID, Value: anchorOf("alice")})
		warned := slices.Contains(account.Warnings, writeback.WarningNotIndexed)
		if err != nil || warned == indexed || (fake.fake.Scans() == 1) == indexed {
			t.Errorf("indexed %v: %d scans, warned %v (%v)", indexed, fake.fake.Scans(), warned, err)
		}
	}
}

// An assertion must hold, also where only the objectGUID can carry it.
func TestAssertedImmutableID(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) {
		o.Domain.Users = append(o.Domain.Users, adtest.User{Login: "noanchor", OU: "OU=Staff", Password: adtest.CorpPassword})
	})
	d := fake.directory(t)
	state, _ := fake.fake.User("noanchor")
	for value, want := range map[string]writeback.Reason{
		base64.StdEncoding.EncodeToString(state.GUID[:]): writeback.ReasonOK,
		anchorOf("noanchor"):                             writeback.UserAmbiguous, "not base64": writeback.UserNotFound,
	} {
		_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: `CORP\noanchor`, AssertedImmutableID: value})
		wantReason(t, err, want)
	}
}

// A read-only controller holds no passwords to write: it is refused before anything is asked of it.
func TestReadOnlyControllerIsRefused(t *testing.T) {
	d := startFake(t, func(o *adtest.Options) { o.ReadOnly = true }).directory(t)
	for range 2 { // it was listed: nobody is told that it is merely away
		_, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: `CORP\alice`})
		wantReason(t, err, writeback.AgentMisconfigured)
	}
}

// Windows finds more than was asked for: it looks past diacritical marks, width and some letters beyond ASCII. Whoever has such a name
// elsewhere is not the person who has the plain one here.
func TestALookalikeIsNotFound(t *testing.T) {
	fake := startFake(t, mailbox("alice", "alice@example.com"), func(o *adtest.Options) {
		o.Domain.Users = append(o.Domain.Users,
			adtest.User{Login: "Björk1", OU: "OU=Staff", Password: adtest.CorpPassword, Mail: "Björk1@example.com"})
	})
	d := fake.directory(t)
	for _, row := range []struct {
		kind        writeback.IdentifierKind
		value, want string // want: login; empty: nobody
	}{
		{writeback.ByUPN, "ALICE" + userSuffix, "alice"}, {writeback.ByUPN, "älice" + userSuffix, ""}, {writeback.ByUPN, "ａlice" + userSuffix, ""},
		{writeback.ByUPN, "a\u0301lice" + userSuffix, ""},
		{writeback.BySAM, `CORP\Alice`, "alice"}, {writeback.BySAM, `CORP\álice`, ""}, {writeback.BySAM, "CORP\\al\u0131ce", ""},
		{writeback.ByMail, "Alice@Example.com", "alice"}, {writeback.ByMail, "alice@éxample.com", ""}, {writeback.ByMail, "àlice@example.com", ""},
		{writeback.BySAM, `CORP\BJÖRK1`, "Björk1"}, {writeback.BySAM, `CORP\bjork1`, ""}, {writeback.BySAM, "CORP\\Björ\u212a1", ""},
		{writeback.ByMail, "bJÖrk1@example.com", "Björk1"}, {writeback.ByMail, "bjørk1@example.com", ""},
	} {
		account, err := d.Resolve(deadline(t), writeback.Subject{Kind: row.kind, Value: row.value})
		if account.SAMAccountName != row.want || row.want == "" && writeback.ReasonOf(err) != writeback.UserNotFound {
			t.Errorf("%s %s: %q (%v), want %q", row.kind, row.value, account.SAMAccountName, err, row.want)
		}
	}
}
