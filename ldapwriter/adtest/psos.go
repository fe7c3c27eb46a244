package adtest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// PSO is a fine-grained password policy, a password settings object (MS-ADSC, class msDS-PasswordSettings).
type PSO struct {
	Name       string
	Precedence int // the lowest wins
	Policy     Policy
	AppliesTo  []string // logins of users, names of groups
	// Readable lets everybody read what it says. On Windows only Domain Admins may, until it is granted (Microsoft, "AD DS: Fine-Grained
	// Password Policies"): its name is shown by msDS-ResultantPSO all the same.
	Readable bool
}

// pso is one in the directory.
type pso struct {
	*entry
	precedence int
	policy     Policy
	applies    []*entry
}

const psoContainer = "CN=Password Settings Container,CN=System,"

// addPSOs adds the fine-grained policies of the domain, and those given with their one user.
func (d *directory) addPSOs(now time.Time) error {
	all := slices.Clone(d.domain.PSOs)
	for _, user := range d.domain.Users {
		if user.Policy != nil {
			all = append(all, PSO{Name: user.Login, Precedence: 10, Policy: *user.Policy, AppliesTo: []string{user.Login}})
		}
	}
	for _, each := range all {
		if err := d.addPSO(each, now); err != nil {
			return err
		}
	}
	return nil
}

func (d *directory) addPSO(settings PSO, now time.Time) error {
	e, err := d.addEntry("CN="+escapeDN(settings.Name)+","+psoContainer+d.base, "", now, "top", "msDS-PasswordSettings")
	if err != nil {
		return err
	}
	e.hidden = !settings.Readable
	p := settings.Policy
	e.set("msDS-PasswordSettingsPrecedence", strconv.Itoa(settings.Precedence))
	e.set("msDS-MinimumPasswordLength", strconv.Itoa(p.MinLength))
	e.set("msDS-PasswordHistoryLength", strconv.Itoa(p.History))
	e.set("msDS-PasswordComplexityEnabled", strings.ToUpper(strconv.FormatBool(p.Complexity)))
	e.set("msDS-MinimumPasswordAge", span(p.MinAge))
	e.set("msDS-LockoutThreshold", strconv.Itoa(p.LockoutThreshold))
	e.set("msDS-LockoutDuration", span(p.LockoutDuration))
	e.set("msDS-LockoutObservationWindow", span(p.LockoutWindow))
	made := &pso{entry: e, precedence: settings.Precedence, policy: p}
	for _, name := range settings.AppliesTo {
		target := d.byLogin[strings.ToLower(name)]
		if target == nil {
			return fmt.Errorf("policy %s applies to %s, which does not exist", settings.Name, name)
		}
		made.applies = append(made.applies, target)
	}
	d.psos = append(d.psos, made)
	return nil
}

// span writes a duration as AD stores it, a negative number of 100 ns ticks.
func span(d time.Duration) string { return strconv.FormatInt(-d.Nanoseconds()/100, 10) }

// resultantPSO follows MS-ADTS 3.1.1.4.5.36: those linked to the user come before those of its groups, then the lowest precedence, then the
// smallest GUID. nil: none.
func (d *directory) resultantPSO(e *entry) *pso {
	if e.account == nil || e.account.flags&flagNormal == 0 {
		return nil
	}
	if own := d.lowest(e); own != nil {
		return own
	}
	return d.lowest(e.groups()...)
}

func (d *directory) lowest(targets ...*entry) *pso {
	var found []*pso
	for _, each := range d.psos {
		if slices.ContainsFunc(each.applies, func(e *entry) bool { return slices.Contains(targets, e) }) {
			found = append(found, each)
		}
	}
	if len(found) == 0 {
		return nil
	}
	return slices.MinFunc(found, func(a, b *pso) int {
		return cmp.Or(cmp.Compare(a.precedence, b.precedence), slices.Compare(a.guid[:], b.guid[:]))
	})
}

// policyOf returns the policy that applies to an account.
func (d *directory) policyOf(e *entry) Policy {
	if own := d.resultantPSO(e); own != nil {
		return own.policy
	}
	return d.domain.Policy
}
