package kerberos

import (
	"crypto/sha256"
	"time"

	"github.com/jcmturner/gokrb5/v8/types"
)

// Key is one entry of a keytab.
type Key struct {
	Principal, Realm string
	Version          uint32
	Type             int32
	Value            string
}

// ParseKeytab exposes what is read from a keytab.
func ParseKeytab(content []byte) ([]Key, error) {
	entries, err := parseKeytab(content)
	var keys []Key
	for _, e := range entries {
		keys = append(keys, Key{e.principal, e.realm, e.version, e.key.KeyType, string(e.key.KeyValue)})
	}
	return keys, err
}

// Checksum exposes the field of the authenticator that carries the binding.
func Checksum(binding Binding) []byte { return checksum(binding) }

// Unwrap and Wrap expose the last step of a bind.
func Unwrap(token []byte, key types.EncryptionKey, acceptors bool) ([]byte, error) {
	return unwrap(token, key, acceptors)
}

// Wrap signs as an initiator does.
func Wrap(content []byte, key types.EncryptionKey, acceptors bool, number uint64) ([]byte, error) {
	return wrap(content, key, acceptors, number)
}

// TicketWith makes a ticket with a session key of one's choice.
func TicketWith(key types.EncryptionKey) *Ticket {
	made := &Ticket{client: "svc", realm: "CORP.EXAMPLE.COM"}
	made.granted.key = key
	made.granted.ticket.SName = types.NewPrincipalName(2, "ldap/dc1")
	made.granted.ticket.Realm = made.realm
	return made
}

// Sent returns the time that a context put into its authenticator.
func Sent(c Context) (seconds int64, microseconds int) {
	i, ok := c.(*initiator)
	if !ok {
		return 0, 0
	}
	return i.sent.CTime.Unix(), i.sent.Cusec
}

// Keep lets a client keep a ticket that was got with a keytab and ends at a time.
func (c *Client) Keep(keytab []byte, spn string, ends time.Time) {
	c.keep(sha256.Sum256(keytab), spn, granted{ends: ends})
}
