package lab

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// Directory is the fake directory and what the lab knows about its people.
type Directory struct {
	server    *adtest.Server
	passwords map[string]secret.Value // by login: the first one
}

// OpenDirectory listens on addr (host:port; empty takes a free port of loopback) for LDAPS. The caller must Close it.
func OpenDirectory(addr string) (*Directory, error) {
	d := &Directory{passwords: map[string]secret.Value{}}
	server, err := adtest.New(adtest.Options{Address: addr, Domain: domain(d.newPassword)})
	if err != nil {
		return nil, fmt.Errorf("open the directory: %w", err)
	}
	d.server = server
	return d, nil
}

func (d *Directory) newPassword(login string) secret.Value {
	d.passwords[login] = newPassword("First-")
	return d.passwords[login]
}

// Domain is what an agent must know of the directory.
func (d *Directory) Domain() Domain {
	return Domain{
		Name: domainName, NetBIOSName: netBIOSName, Controller: d.server.Addr(), Authority: d.server.CAPEM(),
		BindUser: upn(serviceAccount), Password: d.passwords[serviceAccount], Include: []string{staffOU + "," + domainDN},
	}
}

func upn(login string) string { return login + "@" + domainName }

// First is the password a person had at the start.
func (d *Directory) First(login string) secret.Value { return d.passwords[login] }

// Writes counts how often a person's password was written since the start.
func (d *Directory) Writes(login string) int { return d.server.Writes(login) }

// CountWrites is Writes for the demonstration, which has to ask a real controller.
func (d *Directory) CountWrites(_ context.Context, login string) (int, error) {
	return d.Writes(login), nil
}

// Logon binds as a person: "" when let in, else AD's sub-code, such as "52e" for a wrong password.
func (d *Directory) Logon(ctx context.Context, login string, password secret.Value) (code string, err error) {
	return adtest.Logon(ctx, d.server.Addr(), d.server.CAPool(), upn(login), password)
}

// Subject names a person by one of the identifiers.
func (d *Directory) Subject(login string, kind writeback.IdentifierKind) (writeback.Subject, error) {
	user, ok := d.server.User(login)
	subject := writeback.Subject{Kind: kind}
	switch kind {
	case writeback.BySID:
		subject.Value = user.SID
	case writeback.ByGUID:
		subject.Value = user.GUID.String()
	case writeback.ByImmutableID:
		subject.Value = base64.StdEncoding.EncodeToString(anchor(login))
	case writeback.BySAM:
		subject.Value, ok = netBIOSName+`\`+login, true
	case writeback.ByUPN:
		subject.Value, ok = upn(login), true
	default:
		ok = false
	}
	if !ok {
		return subject, fmt.Errorf("the directory has no %s of %q", kind, login)
	}
	return subject, nil
}

// Inject makes the directory fail in a chosen way until remove is called.
func (d *Directory) Inject(fault adtest.Fault) (remove func()) { return d.server.Inject(fault) }

// Disconnect closes every connection, as a restart of a controller does.
func (d *Directory) Disconnect() { d.server.Disconnect() }

// Close ends the directory.
func (d *Directory) Close() error {
	for _, password := range d.passwords {
		defer password.Destroy()
	}
	return d.server.Close()
}

// Addr is where the directory listens for LDAPS, host:port.
func (d *Directory) Addr() string { return d.server.Addr() }
