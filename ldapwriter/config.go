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

	// Controllers are host or host:port, the preferred one first. The port is 636 where missing. The certificate must
	// carry the host as written here. The Global Catalog's ports are refused: it holds read-only copies.
	Controllers []string
	RootCAs     *x509.CertPool // nil: the system's

	BindUser string // user principal name or distinguished name of the delegated account
	// BindPassword is asked for each new connection, so a rotated password needs no restart. The Value stays the caller's.
	BindPassword func(ctx context.Context) (secret.Value, error)

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
	orDefault(&c.Connections, DefaultConnections)
	orDefault(&c.DialTimeout, DefaultDialTimeout)
	orDefault(&c.ReadTimeout, DefaultReadTimeout)
	orDefault(&c.WriteTimeout, DefaultWriteTimeout)

	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Name == "" {
		fault("name is missing")
	}
	if c.BindUser == "" || c.BindPassword == nil {
		fault("the account to bind with is missing")
	}
	switch c.PolicyHints {
	case HintsRequire, HintsWarn, HintsAllow:
	default:
		fault("policy hints mode %q is not one of require, warn, allow", c.PolicyHints)
	}
	if c.Connections < 0 || c.DialTimeout < 0 || c.ReadTimeout < 0 || c.WriteTimeout < 0 {
		fault("connections and timeouts must not be negative")
	}
	if c.SearchBase != "" {
		if _, err := NormalizeDN(c.SearchBase); err != nil {
			fault("search base: %w", err)
		}
	}
	controllers, err := controllerAddresses(c.Controllers)
	if err != nil {
		faults = append(faults, err)
	}
	c.Controllers = controllers
	return c, errors.Join(faults...)
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// controllerAddresses returns host:port for each entry.
func controllerAddresses(entries []string) ([]string, error) {
	if len(entries) == 0 {
		return nil, errors.New("no controllers are listed")
	}
	var faults []error
	var addresses []string
	seen := make(map[string]bool)
	for _, entry := range entries {
		address, err := controllerAddress(entry)
		if err == nil && seen[address] {
			err = fmt.Errorf("controller %s is listed twice", address)
		}
		seen[address] = true
		faults = append(faults, err)
		addresses = append(addresses, address)
	}
	return addresses, errors.Join(faults...)
}

func controllerAddress(entry string) (string, error) {
	host, port, err := net.SplitHostPort(entry)
	if err != nil {
		host, port = strings.Trim(entry, "[]"), "636"
	}
	_, portErr := strconv.ParseUint(port, 10, 16)
	switch {
	case portErr != nil || host == "" || strings.ContainsAny(host, "/ @"):
		return "", fmt.Errorf("controller %q is not host or host:port", entry)
	case port == "3268" || port == "3269":
		return "", fmt.Errorf("controller %q: the Global Catalog cannot be written to; use port 636", entry)
	case port == "389":
		return "", fmt.Errorf("controller %q: passwords are written over LDAPS only; use port 636", entry)
	}
	return net.JoinHostPort(strings.ToLower(host), port), nil
}
