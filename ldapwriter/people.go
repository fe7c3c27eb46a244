package ldapwriter

import (
	"context"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"github.com/password-writeback/writeback/internal/writeback"
)

// examples is how many users are looked at.
const examples = 2

// People returns the objectGUIDs of up to two users below a container, whoever comes first and is not marked as an administrator: examples to look at
// before anybody's password is set. Reasons: as [Directory.Resolve]; none found is no error.
func (d *Directory) People(ctx context.Context, domainName, container string) ([]writeback.GUID, error) {
	for _, domain := range d.domains {
		if strings.EqualFold(domain.config.Name, domainName) {
			return domain.people(ctx, container)
		}
	}
	return nil, writeback.NewError(writeback.AgentMisconfigured, fmt.Errorf("domain %s is not configured", domainName))
}

func (d *domain) people(ctx context.Context, container string) (found []writeback.GUID, err error) {
	var entries []*ldap.Entry
	err = d.onAny(ctx, func(ctx context.Context, c *controller) error {
		err := c.read(ctx, func(ctx context.Context, s *session) error {
			return s.do(ctx, func(conn *ldap.Conn) (err error) {
				entries, err = s.examples(conn, container)
				return err
			})
		})
		if err != nil {
			return lookFailure(err)
		}
		return nil
	})
	for _, entry := range entries[:min(len(entries), examples)] {
		if raw := entry.GetEqualFoldRawAttributeValue("objectGUID"); len(raw) == len(writeback.GUID{}) {
			found = append(found, writeback.GUID(raw))
		}
	}
	return found, err
}

// examples asks for one page, since Samba 4.24 does not keep to a size limit (measured): all users of a large domain would come.
func (s *session) examples(conn *ldap.Conn, container string) ([]*ldap.Entry, error) {
	attributes := []string{"objectGUID"}
	controls := append(s.root.searchControls(attributes), ldap.NewControlPaging(examples))
	result, err := conn.Search(ldap.NewSearchRequest(container, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, examples, 0, false,
		"(&"+realUser+"(!(adminCount=1)))", attributes, controls))
	code, ok := resultCode(err)
	switch {
	case ok && code == ldap.LDAPResultReferral:
		return nil, errReferral
	case ok && code == ldap.LDAPResultSizeLimitExceeded, err == nil:
		return result.Entries, nil
	}
	return nil, err
}
