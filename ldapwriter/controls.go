package ldapwriter

import (
	"slices"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Controls of Active Directory (MS-ADTS 3.1.1.3.4.1).
const (
	policyHintsOID           = "1.2.840.113556.1.4.2239" // LDAP_SERVER_POLICY_HINTS_OID
	policyHintsDeprecatedOID = "1.2.840.113556.1.4.2066" // the same, Windows Server 2008 R2 with KB2386717 to 2012 R2
	domainScopeOID           = "1.2.840.113556.1.4.1339" // no continuation references to other naming contexts
	descriptorFlagsOID       = "1.2.840.113556.1.4.801"  // LDAP_SERVER_SD_FLAGS_OID: which parts of nTSecurityDescriptor
)

// policyHintsOIDOf picks the policy-hints control out of supportedControl: the current one, else the deprecated one, else none.
func policyHintsOIDOf(supported []string) string {
	for _, oid := range []string{policyHintsOID, policyHintsDeprecatedOID} {
		if slices.Contains(supported, oid) {
			return oid
		}
	}
	return ""
}

// policyHintsOn is the BER of PolicyHintsRequestValue { Flags 1 }: enforce the password history (MS-ADTS 3.1.1.3.4.1.27).
const policyHintsOn = "\x30\x03\x02\x01\x01"

// criticalControl is a control that must be obeyed or refused. go-ldap's own type encodes TRUE as 0x01; RFC 4511 section
// 5.1 demands 0xFF, and Samba reads anything else as FALSE: the control would be ignored without a word.
type criticalControl struct {
	oid   string
	value string // empty: the control has none
}

var _ ldap.Control = criticalControl{}

// GetControlType implements ldap.Control.
func (c criticalControl) GetControlType() string { return c.oid }

// String implements ldap.Control.
func (c criticalControl) String() string { return "critical control " + c.oid }

// Encode implements ldap.Control.
func (c criticalControl) Encode() *ber.Packet {
	packet := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "Control")
	packet.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, c.oid, "Control Type"))
	packet.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, true, "Criticality"))
	if c.value != "" {
		packet.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, c.value, "Control Value"))
	}
	return packet
}

// descriptorAttribute holds the security descriptor. Without the control below it is left out for whoever may not read all of it.
const descriptorAttribute = "nTSecurityDescriptor"

// onlyDACL is the BER of SDFlagsRequestValue { Flags DACL_SECURITY_INFORMATION } (MS-ADTS 3.1.1.3.4.1.11).
const onlyDACL = "\x30\x03\x02\x01\x04"

// searchControls keeps a search inside the domain: without the domain-scope control every search from the root of a
// domain ends in references to its application partitions. Of a security descriptor it asks for the access control list alone.
func (r rootDSE) searchControls(attributes []string) []ldap.Control {
	var controls []ldap.Control
	if r.domainScope {
		controls = append(controls, criticalControl{oid: domainScopeOID})
	}
	if slices.Contains(attributes, descriptorAttribute) {
		controls = append(controls, criticalControl{oid: descriptorFlagsOID, value: onlyDACL})
	}
	return controls
}
