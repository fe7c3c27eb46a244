package ldapwriter

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// realUser keeps computers, group managed service accounts and contacts out. objectCategory is indexed, objectClass is not.
const realUser = "(objectCategory=person)(objectClass=user)(!(objectClass=computer))"

// Limits of identifiers, in characters. AD's schema: userPrincipalName 1024, sAMAccountName 256 (20 for people), mail 256.
const (
	maxUPN  = 1024
	maxSAM  = 256
	maxMail = 256
)

// query is a checked identifier, ready to be asked for.
type query struct {
	base      string // <GUID=...> or <SID=...>: a base read finds it; empty: search with filter
	filter    string // the part that identifies, beside realUser
	attribute string // whose value must then be the name that was asked for; empty: the filter compares octets
	name      string
	unique    bool   // no other domain can hold it too
	domain    string // of DOMAIN\name, lower case; empty: any
	domainSID string // of a SID; empty: any
	suffix    string // of a UPN; empty: none
	asserted  []byte // immutable id that must match too; nil: none
	anchor    bool   // found by mS-DS-ConsistencyGuid, which AD does not index
}

// newQuery checks an identifier before any directory is asked. What cannot be the name of a user is user.not_found; a kind
// that is not served is request.unsupported.
func newQuery(subject writeback.Subject) (query, error) {
	q, err := identify(subject)
	if errors.Is(err, errUnsupportedKind) {
		return query{}, writeback.NewError(writeback.RequestUnsupported, err)
	}
	if err == nil && subject.AssertedImmutableID != "" {
		q.asserted, err = immutableID(subject.AssertedImmutableID)
	}
	if err != nil {
		return query{}, writeback.NewError(writeback.UserNotFound, err)
	}
	return q, nil
}

var errUnsupportedKind = errors.New("this kind of identifier is not served")

func identify(subject writeback.Subject) (query, error) {
	switch subject.Kind {
	case writeback.ByGUID:
		guid, err := writeback.ParseGUID(subject.Value)
		return query{base: guidDN(guid), unique: true}, err
	case writeback.BySID:
		sid, domain, err := accountSID(subject.Value)
		return query{base: "<SID=" + sid + ">", domainSID: domain, unique: true}, err
	case writeback.ByUPN:
		return byUPN(subject.Value)
	case writeback.BySAM:
		return bySAM(subject.Value)
	case writeback.ByImmutableID:
		return byImmutableID(subject.Value)
	case writeback.ByMail:
		return byMail(subject.Value)
	}
	return query{}, errUnsupportedKind
}

// guidDN is the alternative form of a distinguished name that survives renaming and moving (MS-ADTS 3.1.1.3.1.2.4).
func guidDN(guid writeback.GUID) string { return "<GUID=" + guid.String() + ">" }

func byUPN(value string) (query, error) {
	user, suffix, found := strings.Cut(value, "@")
	if !found || user == "" || suffix == "" || strings.Contains(suffix, "@") {
		return query{}, errors.New("not a user principal name")
	}
	if err := checkText(value, maxUPN); err != nil {
		return query{}, err
	}
	q := named("userPrincipalName", value)
	q.suffix = suffix
	return q, nil
}

// byMail matches the attribute mail alone: proxyAddresses holds addresses that the person may share with others.
func byMail(value string) (query, error) {
	user, host, found := strings.Cut(value, "@")
	if !found || user == "" || host == "" {
		return query{}, errors.New("not a mail address")
	}
	if err := checkText(value, maxMail); err != nil {
		return query{}, err
	}
	return named("mail", value), nil
}

// bySAM reads DOMAIN\name. The characters refused are those AD refuses in sAMAccountName (MS-ADTS 3.1.1.6); the space
// and the dot are allowed.
func bySAM(value string) (query, error) {
	domain, name, found := strings.Cut(value, `\`)
	if !found || domain == "" || name == "" || strings.ContainsAny(name, `"/\[]:;|=,+*?<>`) {
		return query{}, errors.New(`not of the form DOMAIN\name`)
	}
	if err := checkText(name, maxSAM); err != nil {
		return query{}, err
	}
	q := named("sAMAccountName", name)
	q.domain, q.unique = strings.ToLower(domain), true
	return q, nil
}

// named asks for the user whose attribute is name.
func named(attribute, name string) query {
	return query{filter: "(" + attribute + "=" + ldap.EscapeFilter(name) + ")", attribute: attribute, name: name}
}

// attributes are what has to be read for q.
func (q query) attributes() []string {
	all := accountAttributes()
	if q.attribute != "" && !slices.Contains(all, q.attribute) {
		all = append(all, q.attribute)
	}
	return all
}

// names reports whether e is who was asked for. A directory finds more than that: Windows looks past diacritical marks, width and more (MS-ADTS 6.5: "björn"
// finds "bjorn"), Samba past spaces. A portal that verified the one person must not reach the other.
func (q query) names(e *ldap.Entry) bool {
	return q.attribute == "" || slices.ContainsFunc(e.GetEqualFoldAttributeValues(q.attribute), func(name string) bool { return sameName(name, q.name) })
}

// sameName compares two names by character, in either case. A character of ASCII is the same as none beyond it: the Kelvin sign is no k.
func sameName(a, b string) bool {
	return slices.EqualFunc([]rune(a), []rune(b), func(x, y rune) bool {
		return unicode.ToLower(x) == unicode.ToLower(y) && (x <= unicode.MaxASCII) == (y <= unicode.MaxASCII)
	})
}

// byImmutableID matches mS-DS-ConsistencyGuid, and objectGUID only where the former is not set: an account whose
// source anchor was set differently must not be found by its objectGUID.
func byImmutableID(value string) (query, error) {
	id, err := immutableID(value)
	if err != nil {
		return query{}, err
	}
	octets := escapeOctets(id)
	return query{anchor: true, filter: fmt.Sprintf("(|(mS-DS-ConsistencyGuid=%s)(&(objectGUID=%s)(!(mS-DS-ConsistencyGuid=*))))", octets, octets)}, nil
}

// immutableID decodes a source anchor: 16 bytes in canonical base64.
func immutableID(value string) ([]byte, error) {
	id, err := base64.StdEncoding.Strict().DecodeString(value)
	if err != nil || len(id) != 16 || len(value) != base64.StdEncoding.EncodedLen(16) {
		return nil, errors.New("not an immutable id: 16 bytes in base64")
	}
	return id, nil
}

// escapeOctets writes every byte as \xx (RFC 4515 section 3).
func escapeOctets(b []byte) string {
	var filter strings.Builder
	for _, c := range b {
		fmt.Fprintf(&filter, `\%02x`, c)
	}
	return filter.String()
}

func checkText(s string, limit int) error {
	switch {
	case !utf8.ValidString(s):
		return errors.New("not UTF-8")
	case utf8.RuneCountInString(s) > limit:
		return fmt.Errorf("longer than %d characters", limit)
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("control characters in an identifier")
	}
	return nil
}
