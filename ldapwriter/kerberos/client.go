package kerberos

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
)

// Lives of tickets. The controller may grant less.
const (
	// life is what is asked for. Nothing here works longer with one ticket, and a controller's own limit is ten hours.
	life = 10 * time.Hour
	// probeLife is for a ticket that is thrown away at once.
	probeLife = 5 * time.Minute
	// spare is how long before its end a ticket is replaced.
	spare = 10 * time.Minute
)

// Client gets tickets for one account, and keeps them until shortly before their end. Its methods may be used concurrently.
type Client struct {
	User  string // sAMAccountName, as the keytab has it
	Realm string // in capitals

	mu     sync.Mutex
	kept   map[string]granted // by the service's name
	origin [sha256.Size]byte  // of the keytab that kept was made from
}

// Ticket returns a ticket to the service spn, such as ldap/dc1.corp.example.com: a kept one where the keytab is still the same, else a new one
// from the first of the KDCs (host:port) that can be reached. A KDC that refuses answers with a [*Refusal]; no other is asked then.
func (c *Client) Ticket(ctx context.Context, dial Dialer, content secret.Value, spn string, kdcs []string) (*Ticket, error) {
	var origin [sha256.Size]byte
	content.Use(func(plain []byte) { origin = sha256.Sum256(plain) })
	if known, ok := c.recall(origin, spn); ok {
		return &Ticket{client: c.User, realm: c.Realm, granted: known}, nil
	}
	keys, err := readKeytab(content, c.User, c.Realm)
	if err != nil {
		return nil, err
	}
	got, err := firstReached(kdcs, func(address string) (granted, error) {
		asking := login{user: c.User, realm: c.Realm, keys: keys, kdc: kdc{address, dial}}
		initial, err := asking.initial(ctx, life)
		if err != nil {
			return granted{}, err
		}
		return asking.service(ctx, initial, spn, life)
	})
	if err != nil {
		return nil, err
	}
	c.keep(origin, spn, got)
	return &Ticket{client: c.User, realm: c.Realm, granted: got}, nil
}

// firstReached goes on to the next KDC only while nothing was sent: a proof that may have been counted is not repeated.
func firstReached(kdcs []string, ask func(address string) (granted, error)) (granted, error) {
	failures := []error{ErrNotReached}
	for _, address := range kdcs {
		got, err := ask(address)
		if err == nil || !errors.Is(err, ErrNotReached) {
			return got, err
		}
		failures = append(failures, fmt.Errorf("%s: %w", address, err))
	}
	return granted{}, errors.Join(failures...)
}

func (c *Client) recall(origin [sha256.Size]byte, spn string) (granted, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if origin != c.origin {
		c.kept = nil
	}
	known, ok := c.kept[spn]
	return known, ok && time.Until(known.ends) > spare
}

func (c *Client) keep(origin [sha256.Size]byte, spn string, got granted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.kept == nil || origin != c.origin {
		c.kept, c.origin = make(map[string]granted), origin
	}
	c.kept[spn] = got
}

// Forget throws the kept tickets away: a controller that refuses one may have changed its own key.
func (c *Client) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept = nil
}

// Check asks one KDC for a ticket with a user's password, once, and throws the ticket away. The error is nil only where the KDC's reply
// proves the password: it decrypts with the key derived from it. counted reports whether the KDC may have counted a wrong password: before
// the first proof leaves, it cannot have.
func Check(ctx context.Context, dial Dialer, address, user, realm string, value secret.Value) (counted bool, err error) {
	asking := login{user: user, realm: realm, keys: password{value}, kdc: kdc{address, dial}, sent: &counted}
	_, err = asking.initial(ctx, probeLife)
	return counted, err
}

// Ticket lets its owner prove itself to one service.
type Ticket struct {
	client, realm string
	granted       granted
}

// UsableUntil is when connections made with the ticket have to be replaced: a controller ends them when the ticket ends.
func (t *Ticket) UsableUntil() time.Time { return t.granted.ends.Add(-spare / 2) }
