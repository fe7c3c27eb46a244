package ldapwriter

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
)

// HintsMode says what to do with a reset on a controller that lacks the policy-hints control, without which a reset is
// not checked against the password history (KB2386717, MS-ADTS 3.1.1.3.4.1.27).
type HintsMode string

// The modes. The zero value means [HintsRequire].
const (
	HintsRequire HintsMode = "require" // refuse with directory.policy_hints_missing
	HintsWarn    HintsMode = "warn"    // write without history, and log a warning each time
	HintsAllow   HintsMode = "allow"   // write without history
)

// Defaults of Config and DomainConfig.
const (
	DefaultConnections  = 4
	DefaultDialTimeout  = 3 * time.Second
	DefaultReadTimeout  = 4 * time.Second
	DefaultWriteTimeout = 5 * time.Second
	DefaultSearchBudget = 10 * time.Second
)

// Transport is how TLS begins on a connection. There is no transport without.
type Transport string

// The transports.
const (
	TransportLDAPS    Transport = "ldaps"    // TLS from the first byte, port 636
	TransportStartTLS Transport = "starttls" // by the StartTLS operation (RFC 4511 section 4.14), port 389; nothing is bound before
)

// port is the transport's well-known one.
func (t Transport) port() string {
	if t == TransportStartTLS {
		return "389"
	}
	return "636"
}

// Config configures a [Directory].
type Config struct {
	Domains []DomainConfig
	// SearchBudget bounds Resolve over all controllers and domains; 0 means [DefaultSearchBudget].
	SearchBudget time.Duration
	Log          logrus.FieldLogger // nil: silent
}

// DomainConfig configures one domain: its controllers and the account that writes there.
type DomainConfig struct {
	Name        string // DNS name, for example corp.example.com; must be the domain that the controllers serve
	NetBIOSName string // for DOMAIN\name identifiers; empty: only DNS-name\name is understood

	// Controllers are host or host:port, the preferred one first. The port is 636, or 389 for StartTLS, where missing. The certificate
	// must carry the host as written here. The Global Catalog's ports are refused: it holds read-only copies.
	Controllers []string
	// Discovery finds the controllers by DNS instead; nil: Controllers are listed. The certificate must carry the domain's name.
	Discovery *Discovery
	// Site is where the domain's users log on: its controllers stand in before others, and learn of unlocks at once. Empty: none.
	Site string
	// Transport is how TLS begins; empty means [TransportLDAPS].
	Transport Transport

	RootCAs *x509.CertPool // nil: the system's
	// ReadRootCAs is asked for each new connection, in place of RootCAs, so a changed file needs no restart; nil: RootCAs.
	ReadRootCAs func() (*x509.CertPool, error)
	// Pins name the keys of the only certificates that are trusted, as [Pin] writes them; empty: any that leads to the roots. A pinned
	// certificate needs no authority and no particular name, but must not have expired.
	Pins []string

	// UPNSuffixes are those that only this domain's users have: such a user principal name is looked for nowhere else.
	UPNSuffixes []string

	// BindMethod is how the delegated account proves itself; empty means [BindSimple].
	BindMethod BindMethod
	BindUser   string // user principal name or distinguished name of the delegated account; not used by [BindService]
	// BindPassword is asked for each new connection, so a rotated password needs no restart. The Value stays the caller's.
	BindPassword func(ctx context.Context) (secret.Value, error)
	// BindKeytab is asked for the content of a keytab, for each new connection, where the method is [BindKerberos]. The Value stays the caller's.
	BindKeytab func(ctx context.Context) (secret.Value, error)
	// Krb5Config is the content of a krb5.conf that lists the KDCs of the domain; empty: the controllers are the KDCs.
	Krb5Config string
	binder     *binder // of the domain's controllers

	// SearchBase bounds who can be found; empty means the whole domain.
	SearchBase  string
	PolicyHints HintsMode

	Connections  int           // open connections per controller; 0 means [DefaultConnections]
	DialTimeout  time.Duration // connect, TLS, bind and rootDSE together; 0 means [DefaultDialTimeout]
	ReadTimeout  time.Duration // one search or read; 0 means [DefaultReadTimeout]
	WriteTimeout time.Duration // one Modify; 0 means [DefaultWriteTimeout]
}

// withDefaults returns c with every unset field filled and every controller with its port, or all faults at once.
func (c DomainConfig) withDefaults() (DomainConfig, error) {
	c.Name = strings.ToLower(strings.TrimSuffix(c.Name, "."))
	orDefault(&c.PolicyHints, HintsRequire)
	orDefault(&c.BindMethod, BindSimple)
	orDefault(&c.Transport, TransportLDAPS)
	orDefault(&c.Connections, DefaultConnections)
	orDefault(&c.DialTimeout, DefaultDialTimeout)
	orDefault(&c.ReadTimeout, DefaultReadTimeout)
	orDefault(&c.WriteTimeout, DefaultWriteTimeout)

	faults := c.check()
	var err error
	if c.binder, err = newBinder(c); err != nil {
		faults = append(faults, err)
	}
	if c.Controllers, err = c.addresses(); err != nil {
		faults = append(faults, err)
	}
	return c, errors.Join(faults...)
}

// check lists what is wrong with single fields.
func (c DomainConfig) check() (faults []error) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		fault("name is missing")
	}
	switch c.PolicyHints {
	case HintsRequire, HintsWarn, HintsAllow:
	default:
		fault("policy hints mode %q is not one of require, warn, allow", c.PolicyHints)
	}
	if c.Connections < 0 || c.DialTimeout < 0 || c.ReadTimeout < 0 || c.WriteTimeout < 0 {
		fault("connections and timeouts must not be negative")
	}
	if c.Transport != TransportLDAPS && c.Transport != TransportStartTLS {
		fault("transport %q is not one of ldaps, starttls", c.Transport)
	}
	if strings.ContainsAny(c.Site, ". ") || len(c.Site) > 63 { // one label of a DNS name (MS-ADTS 6.1.1.2.2.1)
		fault("site %q is not the name of a site", c.Site)
	}
	for _, pin := range c.Pins {
		if err := checkPin(pin); err != nil {
			fault("%w", err)
		}
	}
	if c.SearchBase != "" {
		if _, err := NormalizeDN(c.SearchBase); err != nil {
			fault("search base: %w", err)
		}
	}
	return faults
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// addresses returns host:port for each listed controller; none where they are discovered.
func (c DomainConfig) addresses() ([]string, error) {
	switch {
	case c.Discovery != nil && len(c.Controllers) > 0:
		return nil, errors.New("controllers are listed, and to be discovered too: choose one")
	case c.Discovery != nil:
		return nil, c.Discovery.check()
	case len(c.Controllers) == 0:
		return nil, errors.New("no controllers are listed")
	}
	var faults []error
	var addresses []string
	seen := make(map[string]bool)
	for _, entry := range c.Controllers {
		address, err := controllerAddress(entry, c.Transport)
		if err == nil && seen[address] {
			err = fmt.Errorf("controller %s is listed twice", address)
		}
		seen[address] = true
		faults = append(faults, err)
		addresses = append(addresses, address)
	}
	return addresses, errors.Join(faults...)
}

func controllerAddress(entry string, transport Transport) (string, error) {
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		host, port = strings.Trim(entry, "[]"), transport.port()
	}
	_, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case portErr != nil || host == "" || strings.ContainsAny(host, "/ @"):
		return "", fmt.Errorf("controller %q is not host or host:port", entry)
	case port == "3268" || port == "3269":
		return "", fmt.Errorf("controller %q: the Global Catalog cannot be written to; use port %s", entry, transport.port())
	case port == "389" && transport != TransportStartTLS:
		return "", fmt.Errorf("controller %q: port 389 begins without TLS; use port 636, or transport starttls", entry)
	case port == "636" && transport == TransportStartTLS:
		return "", fmt.Errorf("controller %q: port 636 begins with TLS; use port 389, or transport ldaps", entry)
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}
