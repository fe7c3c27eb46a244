package app

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// Clocks that differ by more are told of, or refused by the agent.
const (
	clockNotice = 10 * time.Second
	clockLimit  = 60 * time.Second
)

// domain looks at one domain, whose controllers have been asked.
func (c *checking) domain(ctx context.Context, directory *ldapwriter.Directory, domain config.Domain, known []ldapwriter.ControllerStatus) {
	own := slices.DeleteFunc(slices.Clone(known), func(s ldapwriter.ControllerStatus) bool { return s.Domain != domain.Name })
	if err := directory.DiscoveryErrors()[domain.Name]; err != nil || len(own) == 0 {
		c.Add("discovery", domain.Name, check.Failed("DNS names no controller: "+rootCause(orElse(err)),
			"Check the DNS servers and the records _ldap._tcp.dc._msdcs."+domain.Name+", or list the controllers."))
	} else if domain.Discovery.Enabled {
		c.Add("discovery", domain.Name, check.Passed(fmt.Sprintf("DNS names %d", len(own))))
	}
	served := false
	for _, controller := range own {
		served = c.controller(ctx, domain, controller) || served
	}
	for _, container := range domain.Scope.Include {
		if !served {
			c.Add("rights", container, check.Skipped("needs a controller of "+domain.Name))
			continue
		}
		c.Chain(ctx, check.Probe{Component: "rights", Target: container, Run: func(ctx context.Context) check.Finding {
			return c.rights(ctx, directory, domain, container)
		}})
	}
}

func orElse(err error) error {
	if err == nil {
		return fmt.Errorf("none was found in time")
	}
	return err
}

// controller looks at one controller, from the outside in. It reports whether it can be used.
func (c *checking) controller(ctx context.Context, domain config.Domain, seen ldapwriter.ControllerStatus) bool {
	at := func(component string, run func(context.Context) check.Finding) check.Probe {
		return check.Probe{Component: component, Target: seen.Address, Run: run}
	}
	now := func(finding check.Finding) func(context.Context) check.Finding {
		return func(context.Context) check.Finding { return finding }
	}
	var chain []check.Probe
	if !domain.Discovery.Enabled { // those were found by DNS servers that may not be this host's
		chain = append(chain, at("dns", func(ctx context.Context) check.Finding { return resolved(ctx, seen.Address) }))
		chain = append(chain, at("tcp", func(ctx context.Context) check.Finding { return connected(ctx, seen.Address) }))
	}
	usable := c.Chain(ctx, append(chain, at("tls", now(secured(seen))), at("logon", now(loggedOn(seen))))...)
	if !usable {
		return false
	}
	c.Chain(ctx, at("certificate", now(certificate(seen, time.Now()))))
	c.Chain(ctx, at("history", now(historyKept(seen, c.cfg.Policy.Hints))))
	c.Chain(ctx, at("clock", now(clockOf(seen))))
	return true
}

func resolved(ctx context.Context, address string) check.Finding {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return check.Failed(err.Error(), "Correct the name in domains[].controllers, or let this host's DNS servers know it.")
	}
	return check.Passed(strings.Join(found, ", "))
}

func connected(ctx context.Context, address string) check.Finding {
	socket, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return check.Failed(err.Error(), "See whether the controller is up, and whether a firewall lets this host reach it on that port.")
	}
	_ = socket.Close() // nothing was said
	return check.Passed("connected")
}

// secured judges TLS and what comes before the logon: all that ends without an answer of the controller.
func secured(seen ldapwriter.ControllerStatus) check.Finding {
	switch {
	case seen.LastError != "" && !seen.Refused:
		return check.Failed(seen.LastError, cmp.Or(seen.LastHint, "Check the controller, its certificate and the network between."))
	case seen.LastError == "" && seen.LastAnswer.IsZero():
		return check.Failed("it gave no answer in time", "Check the controller and the network between.")
	}
	return check.Passed("verified")
}

func loggedOn(seen ldapwriter.ControllerStatus) check.Finding {
	if seen.LastError != "" {
		return check.Failed(seen.LastError, cmp.Or(seen.LastHint, "Check domains[].bind and the delegated account."))
	}
	return check.Passed("as the delegated account")
}

func certificate(seen ldapwriter.ControllerStatus, now time.Time) check.Finding {
	ends := "valid until " + seen.CertificateExpires.UTC().Format(time.DateOnly)
	if seen.CertificateExpires.Sub(now) < certificateWarning {
		return check.Warned(ends, "Renew the controller's certificate, and its pin where it has one, before it ends: then the controller is refused.")
	}
	return check.Passed(ends)
}

// historyKept judges whether a reset obeys the password history.
func historyKept(seen ldapwriter.ControllerStatus, hints config.HintsRule) check.Finding {
	const remedy = "Use a controller that knows the policy-hints control: Windows Server 2016 or later, or Samba 4.24; see policy.hints."
	switch {
	case seen.PolicyHints != "":
		return check.Passed("enforced on resets (policy hints " + seen.PolicyHints + ")")
	case hints == config.HintsRequire:
		return check.Failed("cannot be enforced on resets, so every reset is refused", remedy)
	case hints == config.HintsWarn:
		return check.Warned("cannot be enforced on resets, which are written without it", remedy)
	}
	return check.Passed("cannot be enforced on resets; policy.hints allows that")
}

func clockOf(seen ldapwriter.ControllerStatus) check.Finding {
	const remedy = "Synchronise the clocks of this host and of the domain controller (NTP)."
	if seen.ClockSeen.IsZero() {
		return check.Warned("the controller does not tell its time", remedy)
	}
	offset := seen.ClockOffset.Round(time.Second)
	said := fmt.Sprintf("the controller's differs by %s", offset)
	switch {
	case offset.Abs() > clockLimit:
		return check.Failed(said+"; the agent refuses to write beyond "+clockLimit.String(), remedy)
	case offset.Abs() > clockNotice:
		return check.Warned(said, remedy)
	}
	return check.Passed(said)
}

// rights looks at up to two users of the scope, as a reset would: at the right to reset, at what may be written, at the policy that applies.
func (c *checking) rights(ctx context.Context, directory *ldapwriter.Directory, domain config.Domain, container string) check.Finding {
	people, err := directory.People(ctx, domain.Name, container)
	if err != nil {
		return failure(err)
	}
	if len(people) == 0 {
		return check.Warned("no user is found below it", "Compare the name with the directory, and let the delegated account read the users.")
	}
	var refused []check.Finding
	var warnings []string
	for _, guid := range people {
		words, err := rightsOn(ctx, directory, guid)
		if err != nil {
			refused = append(refused, failure(err))
		}
		warnings = append(warnings, words...)
	}
	slices.Sort(warnings)
	return rightsFound(len(people), refused, slices.Compact(warnings))
}

// rightsOn looks at one user.
func rightsOn(ctx context.Context, directory *ldapwriter.Directory, guid writeback.GUID) (warnings []string, err error) {
	account, err := directory.Resolve(ctx, writeback.Subject{Kind: writeback.ByGUID, Value: guid.String()})
	if err != nil {
		return nil, err
	}
	if len(account.TokenGroups) == 0 {
		return nil, &writeback.Error{
			Reason: writeback.DirectoryAccessDenied, Cause: fmt.Errorf("tokenGroups of %s cannot be read", account.DistinguishedName),
			Hint: "Let the delegated account read tokenGroups, as docs/operations.md shows: without it every request is refused.",
		}
	}
	detail, err := directory.Preflight(ctx, account, writeback.OpReset)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", account.DistinguishedName, err)
	}
	return slices.DeleteFunc(detail.Warnings, ofOneUser), nil
}

// ofOneUser tells warnings that say nothing about the others.
func ofOneUser(word string) bool { return word == "may_be_too_recent" }

// rightsFound sums up what the examples showed.
func rightsFound(looked int, refused []check.Finding, warnings []string) check.Finding {
	switch {
	case len(refused) == looked:
		return refused[0]
	case len(refused) > 0:
		return check.Warned("not on every user: "+refused[0].Detail, refused[0].Remedy)
	}
	said := fmt.Sprintf("may reset (examples looked at: %d)", looked)
	if len(warnings) == 0 {
		return check.Passed(said)
	}
	return check.Warned(said+"; "+strings.Join(warnings, ", "), remedyOfWarning(warnings[0]))
}

// remedyOfWarning says what to do about a word of Detail.Warnings.
func remedyOfWarning(word string) string {
	switch word {
	case "history_not_enforced":
		return "Use a controller that knows the policy-hints control, or accept it: policy.hints."
	case "policy_unreadable":
		return "Let the delegated account read the password policies, fine-grained ones too: docs/operations.md shows how. Until then no refusal is explained."
	case "rights_unreadable":
		return "Let the delegated account read the permissions of the users; or ask the directory's administrators whether it may reset."
	case "must_change_no_right":
		return "Grant the delegated account writing of pwdLastSet on the users, or do not ask for a change at the next logon."
	case "unlock_no_right":
		return "Grant the delegated account writing of lockoutTime on the users."
	case "may_be_too_recent":
		return "Wait until the minimum age has passed; whether a reset must obey it differs between controllers."
	case writeback.WarningNotIndexed:
		return "Index mS-DS-ConsistencyGuid, or let portals name users by SID: docs/operations.md shows how."
	}
	return "docs/protocol.md lists the words of detail.warnings."
}
