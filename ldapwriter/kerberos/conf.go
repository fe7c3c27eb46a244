package kerberos

import (
	"fmt"
	"strings"

	"github.com/jcmturner/gokrb5/v8/config"
)

// ParseKDCs returns the KDCs (host:port) that a krb5.conf lists for a realm, in its order; none where it lists none. Nothing else in the
// file has a meaning here: encryption types and times are this package's own, and DNS is not asked for KDCs.
func ParseKDCs(content, realm string) (kdcs []string, err error) {
	defer tamed(&err)
	parsed, err := config.NewFromString(content)
	if err != nil {
		return nil, fmt.Errorf("not a krb5.conf: %w", err)
	}
	for _, each := range parsed.Realms {
		if strings.EqualFold(each.Realm, realm) {
			kdcs = append(kdcs, each.KDC...)
		}
	}
	return kdcs, nil
}
