package ldapwriter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/kerberos"
)

// Pauses before a password or keytab that was called wrong is tried again. Every try counts against the account's own lockout threshold, on
// whatever controller: two within half an hour stay below every threshold of three. Another password is tried at once.
const (
	firstWrongPause = 15 * time.Minute
	longestPause    = time.Hour
	lockedPause     = 5 * time.Minute
)

// turnWait bounds the wait for another connection's bind, which a controller that hangs may hold up, where what is bound with was accepted before.
const turnWait = time.Second

// binder logs connections on as a domain's delegated account. All controllers of the domain share it, since they share the account and its
// count of wrong passwords.
type binder struct {
	method  BindMethod
	user    string
	read    func(ctx context.Context) (secret.Value, error)
	tickets *kerberos.Client // of method kerberos
	kdcs    []string         // as a krb5.conf lists them; empty: the controllers themselves
	turn    chan struct{}    // held by the one that binds

	mu         sync.Mutex
	accepted   secret.Value // what was accepted last
	refused    secret.Value // what was refused last
	refusal    error
	retryAt    time.Time
	wrongTimes int
}

func newBinder(config DomainConfig) (*binder, error) {
	made := &binder{method: config.BindMethod, user: config.BindUser, turn: make(chan struct{}, 1)}
	switch config.BindMethod {
	case BindSimple:
		made.read = config.BindPassword
	case BindKerberos:
		made.read = config.BindKeytab
	case BindService:
		made.read = func(context.Context) (secret.Value, error) { return secret.Value{}, nil }
	}
	switch {
	case !slices.Contains([]BindMethod{BindSimple, BindKerberos, BindService}, config.BindMethod):
		return made, fmt.Errorf("bind method %q is not one of simple, kerberos, service", config.BindMethod)
	case config.BindMethod == BindService && !kerberos.ServiceIdentity:
		return made, errors.New("bind method service works on Windows only; use kerberos with a keytab")
	case made.read == nil, config.BindMethod != BindService && config.BindUser == "":
		return made, errors.New("the account to bind with is missing")
	case config.BindMethod == BindKerberos:
		return made, made.forKerberos(config)
	}
	return made, nil
}

// proof reads what the account proves itself with, and refuses what was refused a moment ago. The Value stays the owner's.
func (b *binder) proof(ctx context.Context) (secret.Value, error) {
	value, err := b.read(ctx)
	if err != nil {
		return secret.Value{}, &writeback.Error{
			Reason: writeback.AgentMisconfigured, Cause: fmt.Errorf("reading what to bind with: %w", err),
			Hint: "Check the file that domains[].bind names, and who may read it.",
		}
	}
	return value, b.refusedLately(value)
}

// refusedLately returns the refusal of value, while it must not be tried again.
func (b *binder) refusedLately(value secret.Value) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refusal == nil || !value.Equal(b.refused) {
		return nil
	}
	if time.Now().Before(b.retryAt) {
		return b.refusal
	}
	return nil
}

// bind logs the connection s on. One bind at a time: with a password that has become wrong, each further one would count against the
// account before the answer to the first is known.
func (b *binder) bind(ctx context.Context, c *controller, s *session, proof secret.Value) error {
	release, err := b.wait(ctx, b.proven(proof))
	if err != nil {
		return bindFailure(err)
	}
	defer release()
	if err := b.refusedLately(proof); err != nil {
		return err
	}
	err = b.logOn(ctx, c, s, proof)
	b.learn(proof, err)
	return bindFailure(err)
}

// proven reports whether value was accepted last. The identity of a Windows service needs no proof of ours.
func (b *binder) proven(value secret.Value) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.method == BindService || !b.accepted.Empty() && value.Equal(b.accepted)
}

// wait takes the turn. What was never accepted may be wrong, and waits for however long the other bind takes.
func (b *binder) wait(ctx context.Context, proven bool) (release func(), _ error) {
	limit := time.NewTimer(turnWait)
	defer limit.Stop()
	patience := limit.C
	if !proven {
		patience = nil
	}
	select {
	case b.turn <- struct{}{}:
		return func() { <-b.turn }, nil
	case <-patience:
		return func() {}, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (b *binder) logOn(ctx context.Context, c *controller, s *session, proof secret.Value) error {
	switch b.method {
	case BindKerberos:
		return b.byTicket(ctx, c, s, proof)
	case BindService:
		return b.asService(ctx, c, s)
	}
	return s.bind(ctx, b.user, proof)
}

// learn remembers a refusal that counted against the account, or that it is locked out.
func (b *binder) learn(proof secret.Value, err error) {
	pause, wrong := pauseAfter(err)
	b.mu.Lock()
	defer b.mu.Unlock()
	if pause == 0 {
		if err == nil {
			b.refusal, b.wrongTimes = nil, 0
			exchange(&b.accepted, proof)
		}
		return
	}
	if wrong {
		b.accepted.Destroy()
	}
	if exchange(&b.refused, proof) {
		b.wrongTimes = 0
	}
	if wrong {
		pause = min(pause<<b.wrongTimes, longestPause)
		b.wrongTimes = min(b.wrongTimes+1, 3)
	}
	b.refusal, b.retryAt = bindFailure(err), time.Now().Add(pause)
}

// exchange keeps a copy of value in kept, and reports whether it is another one than before.
func exchange(kept *secret.Value, value secret.Value) (changed bool) {
	if value.Equal(*kept) {
		return false
	}
	kept.Destroy()
	*kept = secret.New(value.Reveal())
	return true
}

// pauseAfter returns how long not to try again after an answer, 0 for at once, and whether it called the password or key wrong.
func pauseAfter(err error) (pause time.Duration, wrong bool) {
	var refusal *kerberos.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Code == kerberos.WrongKey:
		return firstWrongPause, true
	case errors.As(err, &refusal) && refusal.Code == kerberos.Revoked && refusal.Proven:
		return lockedPause, false
	}
	var ticket *ticketError
	if errors.As(err, &ticket) {
		return 0, false // nobody counts tickets
	}
	switch bindCode(err) {
	case bindWrongPassword:
		return firstWrongPause, true
	case bindLockedOut:
		return lockedPause, false
	}
	return 0, false
}
