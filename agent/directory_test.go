package agent_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// directory is a one-domain directory in memory that counts password writes and can lose answers.
type directory struct {
	mu       sync.Mutex
	accounts map[string]*account // by UPN
	// write, when set, decides in place of the directory whether a change is carried out and what the caller hears.
	write   func(carryOut func()) error
	resolve func() error
	state   func() error
	// preflight, when set, is what a check hears.
	preflight func(writeback.Operation) (writeback.Detail, error)
	probes    int
	misread   bool // answer a look by GUID with somebody else
	tried     int  // old passwords that were compared
	skew      time.Duration
}

type account struct {
	writeback.Account
	password string
	writes   int
	unlocks  int
}

func newDirectory() *directory {
	d := &directory{accounts: map[string]*account{}}
	d.add("alice")
	d.add("bob")
	return d
}

func (d *directory) add(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accounts[name] = &account{Account: writeback.Account{
		GUID: writeback.GUID{byte(len(d.accounts) + 1)}, Domain: "corp.example.com", Controller: "dc1:636", DistinguishedName: "CN=" + name,
		Password: writeback.PasswordState{
			Version: 3, VersionSource: writeback.VersionReplication, ChangedAt: time.Now().Add(-time.Hour), ThresholdKnown: true,
		},
	}}
}

// populate adds user0 and so on.
func (d *directory) populate(n int) {
	for i := range n {
		d.add(fmt.Sprint("user", i))
	}
}

// user reads an account under the lock.
func (d *directory) user(name string) account {
	d.mu.Lock()
	defer d.mu.Unlock()
	return *d.accounts[name]
}

// edit changes an account from outside, as an administrator would.
func (d *directory) edit(name string, change func(a *account)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change(d.accounts[name])
}

// set writes a password and moves the evidence.
func (a *account) set(password string) {
	a.password = password
	a.Password.Version++
	a.Password.ChangedAt = time.Now()
}

func (d *directory) seen(a *account) writeback.Account {
	copied := a.Account
	copied.Password.ReadAt = time.Now()
	copied.Password.ControllerTime = time.Now().Add(d.skew)
	return copied
}

func (d *directory) Resolve(_ context.Context, subject writeback.Subject) (writeback.Account, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.resolve != nil {
		if err := d.resolve(); err != nil {
			return writeback.Account{}, err
		}
	}
	a, found := d.accounts[subject.Value]
	if guid, err := writeback.ParseGUID(subject.Value); subject.Kind == writeback.ByGUID && err == nil {
		a, found = d.byGUID(guid), true
		if d.misread {
			a = d.accounts["bob"]
		}
	}
	if !found {
		return writeback.Account{}, writeback.NewError(writeback.UserNotFound, nil)
	}
	return d.seen(a), nil
}

func (d *directory) PasswordState(_ context.Context, of writeback.Account) (writeback.PasswordState, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.state != nil {
		if err := d.state(); err != nil {
			return writeback.PasswordState{}, err
		}
	}
	return d.seen(d.byGUID(of.GUID)).Password, nil
}

func (d *directory) byGUID(guid writeback.GUID) *account {
	for _, a := range d.accounts {
		if a.GUID == guid {
			return a
		}
	}
	panic(fmt.Sprintf("no account %s", guid))
}

func (d *directory) Write(_ context.Context, of writeback.Account, change writeback.Change) error {
	d.mu.Lock()
	decide := d.write
	d.mu.Unlock()
	password := string(change.Password.Reveal())
	if change.Operation == writeback.OpChange && !d.knows(of.GUID, change.OldPassword) {
		return writeback.NewError(writeback.PasswordOldIncorrect, nil)
	}
	carryOut := func() { d.carryOut(of.GUID, change.Operation, password) }
	if decide != nil {
		return decide(carryOut)
	}
	carryOut()
	return nil
}

// knows compares an old password with the one in place.
func (d *directory) knows(guid writeback.GUID, old secret.Value) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.tried++
	return old.Equal(secret.NewString(d.byGUID(guid).password))
}

func (d *directory) carryOut(guid writeback.GUID, operation writeback.Operation, password string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.byGUID(guid)
	if operation == writeback.OpUnlock {
		a.unlocks++
		a.Password.LockoutTimeSet = false
		return
	}
	a.writes++
	a.set(password)
}

func (d *directory) Probe(_ context.Context, of writeback.Account, password secret.Value) (agent.ProbeResult, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.probes++
	if password.Equal(secret.NewString(d.byGUID(of.GUID).password)) {
		return agent.ProbeOurs, nil
	}
	return agent.ProbeNotOurs, nil
}

func (d *directory) Preflight(_ context.Context, _ writeback.Account, operation writeback.Operation) (writeback.Detail, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.preflight == nil {
		return writeback.Detail{}, nil
	}
	return d.preflight(operation)
}
