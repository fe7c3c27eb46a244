package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

// BindMethod is how the agent proves to a controller that it is the delegated account.
type BindMethod string

// The methods.
const (
	BindSimple   BindMethod = "simple"   // name and password, inside TLS
	BindKerberos BindMethod = "kerberos" // a ticket got with a keytab; SASL GSSAPI with channel binding (RFC 4752, RFC 5929)
	BindService  BindMethod = "service"  // the account of the Windows service, a group-managed one among them; Windows only
)

// ticketError is a failure of a bind after a ticket was at hand: no password was tried.
type ticketError struct{ cause error }

func (e *ticketError) Error() string { return e.cause.Error() }
func (e *ticketError) Unwrap() error { return e.cause }

// forKerberos completes a binder of method kerberos.
func (b *binder) forKerberos(config DomainConfig) error {
	user, err := kerberosUser(config)
	if err != nil {
		return err
	}
	realm := strings.ToUpper(config.Name)
	b.kdcs, err = kerberos.ParseKDCs(config.Krb5Config, realm)
	b.tickets = &kerberos.Client{User: user, Realm: realm}
	return err
}

// kerberosUser returns the name of the delegated account in its realm: the part of BindUser before @ or behind the backslash. The account must
// be of the domain itself, whose controllers are its KDCs.
func kerberosUser(config DomainConfig) (string, error) {
	if domain, user, found := strings.Cut(config.BindUser, `\`); found {
		if !strings.EqualFold(domain, config.NetBIOSName) && !strings.EqualFold(domain, config.Name) {
			return "", fmt.Errorf("with Kerberos the account to bind with must be of the domain itself, not of %s", domain)
		}
		return user, nil
	}
	user, domain, found := strings.Cut(config.BindUser, "@")
	if found && !strings.EqualFold(domain, config.Name) || strings.ContainsAny(user, "=/,") || user == "" {
		return "", fmt.Errorf("with Kerberos the account to bind with is named as name@%s, as its keytab names it", config.Name)
	}
	return user, nil
}

// CheckKeytab reports whether the content of a keytab has keys for the account that config binds as.
func CheckKeytab(config DomainConfig, content secret.Value) error {
	user, err := kerberosUser(config)
	if err != nil {
		return err
	}
	if err := kerberos.CheckKeytab(content, user, strings.ToUpper(config.Name)); err != nil {
		return &writeback.Error{Reason: writeback.AgentMisconfigured, Cause: err, Hint: keytabHint}
	}
	return nil
}

// byTicket binds with a ticket to the controller.
func (b *binder) byTicket(ctx context.Context, c *controller, s *session, keytab secret.Value) error {
	spn, binding, err := s.service(ctx, c)
	if err != nil {
		return err
	}
	kdcs := b.kdcs
	if len(kdcs) == 0 {
		kdcs = []string{kdcOf(c.address)}
	}
	ticket, err := b.tickets.Ticket(ctx, c.kdcDialer(), keytab, spn, kdcs)
	if err != nil {
		return err
	}
	if err := s.bindWith(ctx, ticket.Initiate(binding)); err != nil {
		b.tickets.Forget() // the controller may have changed its own key
		return &ticketError{err}
	}
	s.usableUntil = ticket.UsableUntil()
	return nil
}

// asService binds as the account of the Windows service.
func (b *binder) asService(ctx context.Context, c *controller, s *session) error {
	spn, binding, err := s.service(ctx, c)
	if err != nil {
		return err
	}
	initiator, err := kerberos.InitiateAsService(spn, binding)
	if err == nil {
		err = s.bindWith(ctx, initiator)
	}
	if err != nil {
		return &ticketError{err}
	}
	s.usableUntil = time.Now().Add(serviceLife)
	return nil
}

// serviceLife is how long a connection of the Windows service's identity is used: Windows renews its tickets, but a controller ends a
// connection with the ticket it was made with. Ten hours are the default of a domain, an hour the least that is sensible.
const serviceLife = 45 * time.Minute

// bindWith makes a SASL GSSAPI bind.
func (s *session) bindWith(ctx context.Context, initiator kerberos.Context) error {
	return s.do(ctx, func(conn *ldap.Conn) error { return conn.GSSAPIBind(initiator, "", "") })
}

// service returns the controller's service principal name and the channel binding of the connection.
func (s *session) service(ctx context.Context, c *controller) (spn string, binding kerberos.Binding, err error) {
	chain := s.wire.ConnectionState().PeerCertificates
	if len(chain) == 0 {
		return "", nil, errors.New("the controller showed no certificate")
	}
	binding, err = kerberos.EndPoint(chain[0])
	if err != nil {
		return "", nil, err
	}
	name, err := s.hostName(ctx, c.address)
	return "ldap/" + name, binding, err
}

// hostName returns the controller's DNS name: the one by which it is known here or, where that is an address, the one it gives itself on the
// connection, whose certificate was verified for the address.
func (s *session) hostName(ctx context.Context, address string) (string, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil || net.ParseIP(host) == nil {
		return host, err
	}
	var name string
	err = s.do(ctx, func(conn *ldap.Conn) error {
		entry, err := s.readOne(conn, "", "(objectClass=*)", []string{"dnsHostName"})
		if err == nil {
			name = entry.GetEqualFoldAttributeValue("dnsHostName")
		}
		return err
	})
	if err == nil && name == "" {
		err = errors.New("the controller does not tell its DNS name")
	}
	return name, err
}

// kdcDialTimeout bounds the connection to one KDC: where a firewall swallows it, there must be time for the next one, or for another way.
const kdcDialTimeout = time.Second

// kdcDialer makes connections to KDCs, whose names are resolved as the controllers' are.
func (c *controller) kdcDialer() kerberos.Dialer {
	dialer := net.Dialer{Resolver: c.names.resolver(), Timeout: kdcDialTimeout}
	return dialer.DialContext
}

// kdcOf returns where the KDC of a controller listens: every controller is one.
func kdcOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	return net.JoinHostPort(host, kerberos.Port)
}

const keytabHint = "Make the keytab anew with AES keys (AES256-SHA1) for the account that domains[].bind.user names: docs/operations.md shows how."

// kerberosFailure says what a failed Kerberos bind means; ok is false where Kerberos has no part in it.
func kerberosFailure(err error) (failure *writeback.Error, ok bool) {
	var refusal *kerberos.Refusal
	switch {
	case errors.As(err, &refusal):
		return &writeback.Error{Reason: writeback.DirectoryAccessDenied, Hint: refusalHint(refusal), Cause: err}, true
	case errors.Is(err, kerberos.ErrNoKey), errors.Is(err, kerberos.ErrKeytab):
		return &writeback.Error{Reason: writeback.AgentMisconfigured, Hint: keytabHint, Cause: err}, true
	case errors.Is(err, kerberos.ErrNotReached):
		return &writeback.Error{Reason: writeback.DirectoryUnavailable, Cause: err,
			Hint: "No KDC could be reached: let this host connect to TCP port 88 of the controllers, or name other KDCs in domains[].bind.krb5_conf_file."}, true
	case errors.Is(err, kerberos.ErrSecurityLayer):
		return &writeback.Error{Reason: writeback.DirectoryAccessDenied, Cause: err,
			Hint: "The controller insists on SASL signing inside TLS: Windows does not; on Samba set ldap server require strong auth = yes, its default."}, true
	case errors.Is(err, kerberos.ErrNotProven), errors.Is(err, kerberos.ErrNotMutual):
		return &writeback.Error{Reason: writeback.DirectoryAccessDenied, Cause: err,
			Hint: "What answered could not prove that it is the domain's KDC or controller: check whether somebody is in between, and the age of the keytab."}, true
	}
	return nil, false
}

// refusalHint says what to do about a KDC's refusal.
func refusalHint(refusal *kerberos.Refusal) string {
	switch refusal.Code {
	case kerberos.UnknownAccount, kerberos.WrongRealm:
		return "The KDC does not know the delegated account: domains[].bind.user must be the account's logon name (sAMAccountName), as in its keytab."
	case kerberos.UnknownService:
		return "The KDC knows no service ldap/NAME for the controller: list the controller by its full DNS name, and check its servicePrincipalName (setspn -L, samba_spnupdate)."
	case kerberos.WrongKey:
		return "The keytab's key is not the delegated account's: its password was changed since. Make the keytab anew. The same keytab is not tried again for at least a quarter of an hour."
	case kerberos.PasswordExpired:
		return "The delegated account's password has expired or must be changed: set a new one, and make the keytab anew."
	case kerberos.Revoked:
		return "The delegated account is locked out, disabled, expired or out of its logon hours: see its properties in the directory."
	case kerberos.NoSuchEncryption:
		return "The account or the controller has no AES keys: set msDS-SupportedEncryptionTypes to AES, set the account's password anew, then make the keytab anew."
	case kerberos.ClockSkew:
		return fmt.Sprintf("This host's clock and the KDC's differ by more than five minutes (the KDC's is ahead by %v): synchronise both.", refusal.Ahead)
	case kerberos.NotAllowed:
		return "A policy of the domain keeps the delegated account from logging on (smart card required, logon hours, authentication policy)."
	}
	return "The KDC refused the delegated account: see the cause."
}
