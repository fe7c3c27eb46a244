package ldapwriter_test

import (
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// TestPeople: a few users below a container, no more, and neither computers nor those who are marked as administrators.
func TestPeople(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) {
		o.Domain.OUs = append(o.Domain.OUs, "OU=Examples", "OU=Deserted")
		o.Domain.Users = append(o.Domain.Users,
			adtest.User{Login: "marked", OU: "OU=Examples", Password: adtest.CorpPassword, MemberOf: []string{"Domain Admins"}},
			adtest.User{Login: "one", OU: "OU=Examples", Password: adtest.CorpPassword})
	})
	d := fake.directory(t)
	found, err := d.People(deadline(t), corp, "OU=Examples,DC=corp,DC=example,DC=com")
	if err != nil || len(found) != 1 || found[0] != person(t, d, "one").GUID {
		t.Errorf("below Examples: %v, %v", found, err)
	}
	if found, err = d.People(deadline(t), corp, "OU=Staff,DC=corp,DC=example,DC=com"); err != nil || len(found) != 2 {
		t.Errorf("below Staff: %d, %v", len(found), err)
	}
	if found, err = d.People(deadline(t), corp, "OU=Deserted,DC=corp,DC=example,DC=com"); err != nil || len(found) != 0 {
		t.Errorf("below Deserted: %v, %v", found, err)
	}
	_, err = d.People(deadline(t), corp, "OU=Nowhere,DC=corp,DC=example,DC=com")
	wantReason(t, err, writeback.AgentMisconfigured)
	_, err = d.People(deadline(t), "other.example.com", "DC=other,DC=example,DC=com")
	wantReason(t, err, writeback.AgentMisconfigured)
}

// TestPeopleAreFewOnEveryController: some do not keep to a size limit.
func TestPeopleAreFewOnEveryController(t *testing.T) {
	onEveryController(t, func(t *testing.T, c *controller) {
		if found, err := c.directory(t).People(deadline(t), corp, "OU=Staff,DC=corp,DC=example,DC=com"); err != nil || len(found) != 2 {
			t.Errorf("%d found, %v", len(found), err)
		}
	})
}
