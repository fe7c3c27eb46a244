package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// Directory is one or more Active Directory domains. Its methods may be used concurrently.
type Directory struct {
	domains      []*domain
	searchBudget time.Duration
	log          logrus.FieldLogger
	stop         context.CancelFunc
	background   sync.WaitGroup
}

// New checks the configuration and returns a Directory. Nothing is connected yet: a domain that is down at start is found out
// about by the first request or by [Directory.Health]. The error names every fault and is agent.misconfigured.
func New(config Config) (*Directory, error) {
	stopping, stop := context.WithCancel(context.Background())
	d := &Directory{searchBudget: config.SearchBudget, log: config.Log, stop: stop}
	orDefault(&d.searchBudget, DefaultSearchBudget)
	if d.log == nil {
		silent := logrus.New()
		silent.SetOutput(io.Discard)
		d.log = silent
	}
	var faults []error
	if len(config.Domains) == 0 {
		faults = append(faults, errors.New("no domain is configured"))
	}
	names := make(map[string]bool)
	for i, entry := range config.Domains {
		checked, err := entry.withDefaults()
		if err != nil {
			faults = append(faults, fmt.Errorf("domain %d (%s): %w", i, entry.Name, err))
			continue
		}
		for _, name := range domainNames(checked) {
			if names[name] {
				faults = append(faults, fmt.Errorf("domain %d: the name %s is used twice", i, name))
			}
			names[name] = true
		}
		d.domains = append(d.domains, d.newDomain(stopping, checked))
	}
	faults = append(faults, foreignSuffixes(config.Domains))
	if err := errors.Join(faults...); err != nil {
		stop()
		return nil, writeback.NewError(writeback.AgentMisconfigured, err)
	}
	return d, nil
}

// foreignSuffixes finds UPN suffixes that are another domain's name: its users have them by nature, and would not be looked for.
func foreignSuffixes(domains []DomainConfig) error {
	var faults []error
	for i, claiming := range domains {
		for j, other := range domains {
			if i != j && slices.ContainsFunc(claiming.UPNSuffixes, func(suffix string) bool { return strings.EqualFold(suffix, other.Name) }) {
				faults = append(faults, fmt.Errorf("domain %d (%s): its UPN suffix %s is the name of another domain", i, claiming.Name, other.Name))
			}
		}
	}
	return errors.Join(faults...)
}

// domainNames returns the names DOMAIN\name may use, lower case.
func domainNames(config DomainConfig) []string {
	names := []string{config.Name}
	if netbios := strings.ToLower(config.NetBIOSName); netbios != "" && netbios != config.Name {
		names = append(names, netbios)
	}
	return names
}

// Close closes all connections: idle ones now, those in use when their operation has ended.
func (d *Directory) Close() error {
	d.stop()
	for _, domain := range d.domains {
		for _, c := range domain.all() {
			c.pool.close()
		}
	}
	d.background.Wait()
	for _, domain := range d.domains { // what was found by DNS while it ended
		for _, c := range domain.all() {
			c.pool.close()
		}
	}
	return nil
}

// pinned returns the controller an account was read from: nothing about the account is ever asked of, or written on, another.
func (d *Directory) pinned(account writeback.Account) (*controller, error) {
	for _, domain := range d.domains {
		if !strings.EqualFold(domain.config.Name, account.Domain) {
			continue
		}
		if c, known := domain.at(account.Controller); known {
			return c, nil
		}
	}
	return nil, &writeback.Error{
		Reason: writeback.DirectoryUnavailable,
		Hint:   "The configuration no longer lists the controller that the account was read from: list it until its requests are finished.",
		Cause:  fmt.Errorf("controller %s of domain %s is not configured", account.Controller, account.Domain),
	}
}
