package lab

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/password-writeback/writeback/internal/sambalab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// Controller is a real domain controller that holds the people of the demonstration, seeded by test/samba/seed.py, and what the lab has
// read about them before it began.
type Controller struct {
	lab       *sambalab.Lab
	roots     *x509.CertPool
	authority []byte
	reader    *ldapwriter.Directory
	people    map[string]writeback.Account
}

// readWithin bounds what the lab itself reads from a controller at a time.
const readWithin = 20 * time.Second

// OpenController reads the people. The caller must Close it; that does not end the controller.
func OpenController(ctx context.Context, at *sambalab.Lab) (*Controller, error) {
	c := &Controller{lab: at, people: map[string]writeback.Account{}}
	var err error
	if c.roots, c.authority, err = at.Authority(); err != nil {
		return nil, err
	}
	c.reader, err = ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{{
		Name: domainName, NetBIOSName: netBIOSName, Controllers: []string{at.Addr}, RootCAs: c.roots, BindUser: at.ServiceUser,
		BindPassword: func(context.Context) (secret.Value, error) { return at.ServicePassword, nil },
	}}})
	if err != nil {
		return nil, err
	}
	for _, login := range everybody() {
		if c.people[login], err = c.read(ctx, login); err != nil {
			return nil, errors.Join(fmt.Errorf("%s, who is in the demonstration: %w", login, err), c.Close())
		}
	}
	return c, nil
}

// everybody in the demonstration who exists.
func everybody() []string {
	return []string{ada, ben, chloe, dana, emil, finn, gina, hugo, ida, jan, kira, liam, mona, nils}
}

func (c *Controller) read(ctx context.Context, login string) (writeback.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	defer cancel()
	return c.reader.Resolve(ctx, byUPN(login))
}

// Addr is where the controller listens for LDAPS, host:port.
func (c *Controller) Addr() string { return c.lab.Addr }

// Domain is what an agent must know of the controller's domain.
func (c *Controller) Domain() Domain {
	return Domain{
		Name: domainName, NetBIOSName: netBIOSName, Controller: c.lab.Addr, Authority: c.authority,
		BindUser: c.lab.ServiceUser, Password: c.lab.ServicePassword, Include: []string{c.lab.StaffDN()},
	}
}

// First is the password that everybody had at the start.
func (c *Controller) First(string) secret.Value { return c.lab.UserPassword }

// Subject names a person by one of the identifiers.
func (c *Controller) Subject(login string, kind writeback.IdentifierKind) (writeback.Subject, error) {
	account, known := c.people[login]
	values := map[writeback.IdentifierKind]string{
		writeback.BySID: account.SID, writeback.ByGUID: account.GUID.String(), writeback.ByUPN: upn(login),
		writeback.BySAM: netBIOSName + `\` + login, writeback.ByImmutableID: base64.StdEncoding.EncodeToString(anchor(login)),
	}
	if !known || values[kind] == "" {
		return writeback.Subject{}, fmt.Errorf("the directory has no %s of %q", kind, login)
	}
	return writeback.Subject{Kind: kind, Value: values[kind]}, nil
}

// Logon binds as a person: "" when let in, else AD's sub-code, such as "52e" for a wrong password.
func (c *Controller) Logon(ctx context.Context, login string, password secret.Value) (code string, err error) {
	return adtest.Logon(ctx, c.lab.Addr, c.roots, upn(login), password)
}

// CountWrites says by how much the version of a person's password has moved since the start.
func (c *Controller) CountWrites(ctx context.Context, login string) (int, error) {
	now, err := c.read(ctx, login)
	if err != nil {
		return 0, err
	}
	return int(now.Password.Version) - int(c.people[login].Password.Version), nil
}

// JustSeeded reports whether a person's password is newer than a request that was issued longAgo, or nearly so.
func (c *Controller) JustSeeded(login string) bool {
	return time.Since(c.people[login].Password.ChangedAtLocal()) < longAgo+time.Minute
}

// Close ends the lab's connections.
func (c *Controller) Close() error { return c.reader.Close() }
