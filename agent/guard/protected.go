package guard

import (
	"strconv"
	"strings"
)

// A security identifier in its text form (MS-DTYP 2.4.2.1): S-1-authority-sub-sub-..., decimal.
const maxSubAuthorities = 15

// canonicalSID returns a SID in its one text form: capital S, no leading zeros. Everything but plain decimal is refused.
func canonicalSID(text string) (string, bool) {
	parts := strings.Split(text, "-")
	if len(parts) < 4 || len(parts) > 3+maxSubAuthorities || !strings.EqualFold(parts[0], "S") || parts[1] != "1" {
		return "", false
	}
	canonical := "S-1"
	for i, part := range parts[2:] {
		bits := 32
		if i == 0 {
			bits = 48 // the identifier authority
		}
		number, err := strconv.ParseUint(part, 10, bits)
		if err != nil {
			return "", false
		}
		canonical += "-" + strconv.FormatUint(number, 10)
	}
	return canonical, true
}

// wellKnown names the SIDs that are protected whatever the configuration says: the accounts and groups that Active
// Directory protects itself (Microsoft, "Appendix C: Protected Accounts and Groups in Active Directory"), and those that
// the same publisher's list of well-known SIDs (MS-DTYP 2.4.2.4, "Security identifiers") shows to hold power over the
// whole domain. It returns "" for every other.
func wellKnown(sid string) string {
	if rid, ok := strings.CutPrefix(sid, "S-1-5-32-"); ok {
		return builtinGroup(rid)
	}
	domain, ok := strings.CutPrefix(sid, "S-1-5-21-")
	if parts := strings.Split(domain, "-"); ok && len(parts) == 4 {
		// Of any domain: Schema and Enterprise Admins live in the forest's root domain, wherever their members do.
		return domainPrincipal(parts[3])
	}
	return ""
}

func builtinGroup(rid string) string {
	switch rid {
	case "544":
		return "Administrators"
	case "548":
		return "Account Operators"
	case "549":
		return "Server Operators"
	case "550":
		return "Print Operators"
	case "551":
		return "Backup Operators"
	case "552":
		return "Replicator"
	}
	return ""
}

func domainPrincipal(rid string) string {
	switch rid {
	case "498":
		return "Enterprise Read-only Domain Controllers"
	case "500":
		return "Administrator"
	case "501":
		return "Guest"
	case "502":
		return "krbtgt"
	case "512":
		return "Domain Admins"
	case "516":
		return "Domain Controllers"
	case "518":
		return "Schema Admins"
	case "519":
		return "Enterprise Admins"
	case "520":
		return "Group Policy Creator Owners"
	case "521":
		return "Read-only Domain Controllers"
	case "525":
		return "Protected Users"
	case "526":
		return "Key Admins"
	case "527":
		return "Enterprise Key Admins"
	}
	return ""
}
