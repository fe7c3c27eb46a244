package adtest

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf16"

	ber "github.com/go-asn1-ber/asn1-ber"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
)

// Kinds of change (RFC 4511 section 4.6).
const (
	changeAdd     = 0
	changeDelete  = 1
	changeReplace = 2
)

// change is one of a Modify.
type change struct {
	kind      int64
	attribute string // lower case
	values    []string
}

func decodeModify(op *ber.Packet) (dn string, changes []change, ok bool) {
	if len(op.Children) != 2 {
		return "", nil, false
	}
	for _, packet := range op.Children[1].Children {
		kind, isNumber := int64(0), false
		if first := child(packet, 0); first != nil {
			kind, isNumber = first.Value.(int64)
		}
		part := child(packet, 1)
		if !isNumber || kind < changeAdd || kind > changeReplace || part == nil || len(part.Children) != 2 {
			return "", nil, false
		}
		c := change{kind: kind, attribute: strings.ToLower(text(part.Children[0]))}
		for _, value := range part.Children[1].Children {
			c.values = append(c.values, text(value))
		}
		changes = append(changes, c)
	}
	return text(op.Children[0]), changes, len(changes) > 0
}

// modify carries all changes out, or none.
func (c *session) modify(m *message) answer {
	dn, changes, ok := decodeModify(m.op)
	if !ok {
		return malformedRequest()
	}
	if c.bound == nil {
		return notBound()
	}
	if c.server.options.ReadOnly {
		return writableElsewhere(c.server.dir.domain.Name)
	}
	d := c.server.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	target := d.find(dn)
	if target == nil {
		if _, err := ldapwriter.NormalizeDN(dn); err != nil && !strings.HasPrefix(dn, "<") {
			return badName()
		}
		return noObject()
	}
	if target.account == nil {
		return mayNotWrite()
	}
	_, hints := c.has(m, policyHints, deprecatedPolicyHints)
	hint, _ := c.has(m, policyHints, deprecatedPolicyHints)
	after := *target.account
	w := &writer{
		policy: d.policyOf(target), account: &after, hints: hints && string(hint.value) == "\x30\x03\x02\x01\x01",
		now: c.server.options.Clock(), delegated: d.mayWrite(c.bound, target), originator: c.server.InvocationID(),
	}
	if refusal := w.apply(changes); refusal.code != success {
		return refusal
	}
	*target.account = after
	return done()
}

// writer applies the changes of one Modify to a copy of the account.
type writer struct {
	policy    Policy
	account   *account
	hints     bool // enforce the history on a reset too
	delegated bool // the bound account may reset, unlock and set must-change
	now       time.Time
	// originator is the invocation id of the controller that writes.
	originator writeback.GUID
}

// apply carries out the password first: pwdLastSet in the same Modify counts after it, in whichever order they come.
func (w *writer) apply(changes []change) answer {
	var password, rest []change
	for _, each := range changes {
		if each.attribute == "unicodepwd" {
			password = append(password, each)
		} else {
			rest = append(rest, each)
		}
	}
	if a := w.writePassword(password); a.code != success {
		return a
	}
	for _, each := range rest {
		if a := w.writeAttribute(each); a.code != success {
			return a
		}
	}
	return done()
}

func (w *writer) writeAttribute(c change) answer {
	value, single := "", c.kind == changeReplace && len(c.values) == 1
	if single {
		value = c.values[0]
	}
	switch {
	case c.attribute != "pwdlastset" && c.attribute != "lockouttime", !w.delegated:
		return mayNotWrite()
	case c.attribute == "lockouttime" && single && value == "0":
		w.account.lockoutTime, w.account.badPasswords = time.Time{}, 0
	case c.attribute == "pwdlastset" && single && value == "0":
		w.account.pwdLastSet = time.Time{}
	case c.attribute == "pwdlastset" && single && value == "-1":
		w.account.pwdLastSet = w.now
	default:
		return badAttributeValue(c.attribute)
	}
	return done()
}

// writePassword tells a reset (replace) from a change (delete and add), MS-ADTS 3.1.1.3.1.5.
func (w *writer) writePassword(changes []change) answer {
	for _, each := range changes {
		if len(each.values) != 1 {
			return badPasswordValue()
		}
	}
	switch {
	case len(changes) == 0:
		return done()
	case len(changes) == 1 && changes[0].kind == changeReplace:
		return w.reset(changes[0].values[0])
	case len(changes) == 2 && changes[0].kind == changeDelete && changes[1].kind == changeAdd:
		return w.change(changes[0].values[0], changes[1].values[0])
	}
	return badPasswordValue()
}

func (w *writer) reset(value string) answer {
	password, ok := decodePassword(value)
	switch {
	case !w.delegated:
		return mayNotReset()
	case !ok:
		return badPasswordValue()
	case !w.policy.allows(w.account, password), w.hints && (w.policy.remembers(w.account, password) || w.policy.tooYoung(w.account, w.now)):
		return policyRefusesReset()
	}
	w.account.setPassword(password, w.now, w.originator)
	return done()
}

// change is everybody's right who knows the old password, unless the account denies it.
func (w *writer) change(before, after string) answer {
	old, ok := decodePassword(before)
	password, ok2 := decodePassword(after)
	switch {
	case !ok || !ok2:
		return badPasswordValue()
	case w.account.cannotChange:
		return mayNotChange()
	case old != w.account.password:
		return wrongOldPassword()
	case !w.policy.allows(w.account, password), w.policy.remembers(w.account, password), w.policy.tooYoung(w.account, w.now):
		return policyRefusesChange()
	}
	w.account.setPassword(password, w.now, w.originator)
	return done()
}

// maxPasswordUnits is Windows' limit, in UTF-16 units.
const maxPasswordUnits = 256

// decodePassword takes the quotes off a value of unicodePwd.
func decodePassword(value string) (string, bool) {
	if len(value)%2 != 0 || len(value) < 6 || len(value) > 2*(maxPasswordUnits+2) {
		return "", false
	}
	units := make([]uint16, 0, len(value)/2)
	for b := []byte(value); len(b) > 0; b = b[2:] {
		units = append(units, binary.LittleEndian.Uint16(b))
	}
	if units[0] != '"' || units[len(units)-1] != '"' {
		return "", false
	}
	return string(utf16.Decode(units[1 : len(units)-1])), true
}
