package ldapwriter

import (
	"errors"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

// policy is a password policy. Where known is false nothing of it may be relied on: either it could not be read as a whole, or it is not
// known which one applies.
type policy struct {
	known            bool
	minLength        int
	history          int // remembered passwords
	complexity       bool
	minAge           time.Duration
	lockoutThreshold int // 0: nobody is locked out
}

// domainPolicy is what the domain's head says about passwords; it applies to users without a fine-grained policy.
type domainPolicy struct {
	policy
	readAt    time.Time
	domainSID string
}

func policyAttributes() []string {
	return []string{"objectSid", "lockoutThreshold", "minPwdLength", "pwdHistoryLength", "minPwdAge", "pwdProperties"}
}

// policyLife is how long a policy that was read is believed.
const policyLife = time.Minute

// complexityFlag is DOMAIN_PASSWORD_COMPLEX of pwdProperties (MS-SAMR 2.2.3.11).
const complexityFlag = 1

func readPolicy(e *ldap.Entry) domainPolicy {
	r := policyReader{entry: e}
	properties := r.value("pwdProperties")
	p := policy{
		lockoutThreshold: int(r.value("lockoutThreshold")),
		minLength:        int(r.value("minPwdLength")),
		history:          int(r.value("pwdHistoryLength")),
		complexity:       properties&complexityFlag != 0,
		minAge:           r.age("minPwdAge"),
	}
	p.known = !r.incomplete
	sid, _ := sidString(e.GetEqualFoldRawAttributeValue("objectSid"))
	return domainPolicy{policy: p, readAt: time.Now(), domainSID: sid}
}

func psoAttributes() []string {
	return []string{
		"msDS-LockoutThreshold", "msDS-MinimumPasswordLength", "msDS-PasswordHistoryLength", "msDS-MinimumPasswordAge", "msDS-PasswordComplexityEnabled",
	}
}

// readPSO reads a fine-grained policy (MS-ADSC, class msDS-PasswordSettings). All these attributes are mandatory: one that is missing may not be read.
func readPSO(e *ldap.Entry) policy {
	r := policyReader{entry: e}
	complexity := e.GetEqualFoldAttributeValue("msDS-PasswordComplexityEnabled")
	p := policy{
		lockoutThreshold: int(r.value("msDS-LockoutThreshold")),
		minLength:        int(r.value("msDS-MinimumPasswordLength")),
		history:          int(r.value("msDS-PasswordHistoryLength")),
		complexity:       strings.EqualFold(complexity, "TRUE"),
		minAge:           r.age("msDS-MinimumPasswordAge"),
	}
	p.known = complexity != "" && !r.incomplete
	return p
}

// policyReader reads numbers that must all be there.
type policyReader struct {
	entry      *ldap.Entry
	incomplete bool
}

func (r *policyReader) value(attribute string) int64 {
	n, present, err := integer(r.entry, attribute)
	if err != nil || !present {
		r.incomplete = true
	}
	return n
}

// age reads a span of time, which AD stores as a negative number of 100 ns ticks. The longest there is means for ever.
func (r *policyReader) age(attribute string) time.Duration {
	const longest = time.Duration(1<<63-1) / 100
	ticks := r.value(attribute)
	if ticks <= -int64(longest) {
		return longest * 100
	}
	return time.Duration(-ticks) * 100
}

// policyQuestion are the attributes that tell which policy applies to a user: its own, or the domain's where there is certainly none.
func policyQuestion() []string { return []string{"msDS-ResultantPSO", descriptorAttribute} }

// policyOf returns the policy that applies to the user e shows (MS-SAMR 3.1.1.5): the fine-grained one that msDS-ResultantPSO names (MS-ADTS 3.1.1.4.5.36), else the
// domain's. An attribute without a value and one that may not be read look alike, so the domain's applies only where the access
// control list shows that we may read that attribute. In doubt the policy is not known.
func (s *session) policyOf(conn *ldap.Conn, e *ldap.Entry, domain domainPolicy) (policy, error) {
	name := e.GetEqualFoldAttributeValue("msDS-ResultantPSO")
	if name == "" {
		if s.mayReadPSO(e) {
			return domain.policy, nil
		}
		return policy{}, nil
	}
	settings, err := s.readOne(conn, name, "(objectClass=*)", psoAttributes())
	switch {
	case err == nil:
		return readPSO(settings), nil
	case answered(err), errors.Is(err, errReferral):
		return policy{}, nil
	}
	return policy{}, err
}

// mayReadPSO reports whether the absence of msDS-ResultantPSO from e means that no fine-grained policy applies.
func (s *session) mayReadPSO(e *ldap.Entry) bool {
	list, err := parseDACL(e.GetEqualFoldRawAttributeValue(descriptorAttribute))
	return err == nil && list.grants(s.root.identities, rightReadProperty, resultantPSOID)
}
