package ldapwriter_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// quick is for tests of controllers that hang, which wait until a timeout is over: long enough that on a loaded machine none ends for
// those that answer.
func quick(config *ldapwriter.DomainConfig) {
	config.DialTimeout, config.ReadTimeout, config.WriteTimeout = 3*time.Second, 2*time.Second, 2*time.Second
}

func TestUnansweredModifyIsUnknown(t *testing.T) {
	t.Parallel() // it waits
	for _, effect := range []adtest.Effect{adtest.DropBefore, adtest.DropAfter, adtest.Hang} {
		t.Run(string(effect), func(t *testing.T) {
			fake := startFake(t)
			d := fake.directory(t, quick)
			account := person(t, d, "alice")
			remove := fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: effect})
			err := d.Write(deadline(t), account, reset(newPassword))
			wantReason(t, err, writeback.DirectoryOutcomeUnknown)
			remove()
			wantWrites := map[adtest.Effect]int{adtest.DropBefore: 0, adtest.DropAfter: 1, adtest.Hang: 1}[effect]
			waitFor(t, func() bool { return fake.fake.Writes("alice") == wantWrites })
			after, err := d.PasswordState(deadline(t), account)
			if err != nil {
				t.Fatal(err)
			}
			if got := int(after.Version - account.Password.Version); got != wantWrites {
				t.Errorf("version moved by %d, want %d", got, wantWrites)
			}
		})
	}
}

// waitFor polls for what a fake does after its client has gone; it fails the test after the deadline.
func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	ctx := deadline(t)
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatal("what was waited for did not happen")
		case <-time.After(time.Millisecond):
		}
	}
}

func TestCancelledWriteIsUnknownAndNamesTheCancellation(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	struck := make(chan string, 1)
	defer fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Hang, Struck: struck})()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-struck; cancel() }()
	err := d.Write(ctx, account, reset(newPassword))
	wantReason(t, err, writeback.DirectoryOutcomeUnknown)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap context.Canceled", err)
	}
	if strings.Contains(err.Error(), newPassword) {
		t.Error("the password is in the error")
	}
}

func TestNothingSentIsUnavailable(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	t.Run("controller gone", func(t *testing.T) {
		if err := fake.fake.Close(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, func() bool { return d.Status()[0].Connections == 0 }) // until then nobody can know what becomes of a Modify
		wantReason(t, d.Write(deadline(t), account, reset(newPassword)), writeback.DirectoryUnavailable)
	})
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		wantReason(t, d.Write(ctx, account, reset(newPassword)), writeback.DirectoryUnavailable)
	})
	t.Run("controller not configured any more", func(t *testing.T) {
		account.Controller = "dc9.corp.example.com:636"
		wantReason(t, d.Write(deadline(t), account, reset(newPassword)), writeback.DirectoryUnavailable)
	})
}

func TestRequestThatIsOverSendsNothing(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 20 { // whether a free connection or the end is noticed first is up to the scheduler
		err := d.Write(ctx, account, reset(newPassword))
		wantReason(t, err, writeback.DirectoryUnavailable)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%v does not wrap context.Canceled", err)
		}
	}
	if fake.fake.Writes("alice") != 0 {
		t.Error("something was written")
	}
}

func TestDeadIdleConnectionIsReplacedForReadsAndWrites(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	fake.fake.Disconnect()
	if _, err := d.PasswordState(deadline(t), account); err != nil {
		t.Errorf("read after the controller dropped its connections: %v", err)
	}
	fake.fake.Disconnect()
	person(t, d, "bob")
	if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
		t.Errorf("write: %v", err)
	}
	fake.fake.Disconnect()
	waitFor(t, func() bool { return d.Status()[0].Connections == 0 })
	if err := d.Write(deadline(t), account, reset(newPassword+"!")); err != nil {
		t.Errorf("write after the connection is known to be dead: %v", err)
	}
	if got := fake.fake.Writes("alice"); got != 2 {
		t.Errorf("%d writes", got)
	}
}

// A connection that timed out still looks alive to go-ldap: the late answer must never be taken for another one's.
func TestTimedOutConnectionIsNeverUsedAgain(t *testing.T) {
	t.Parallel() // it waits
	fake := startFake(t)
	d := fake.directory(t, quick)
	account := person(t, d, "alice")
	before := fake.fake.Connections()
	remove := fake.fake.Inject(adtest.Fault{On: adtest.OnSearch, Effect: adtest.Hang, Times: 1})
	_, err := d.PasswordState(deadline(t), account)
	wantReason(t, err, writeback.DirectoryUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap context.DeadlineExceeded", err)
	}
	remove()
	if _, err := d.PasswordState(deadline(t), account); err != nil {
		t.Errorf("read after the timeout: %v", err)
	}
	if got := fake.fake.Connections() - before; got != 1 {
		t.Errorf("%d new connections after the timeout, want 1", got)
	}
}

func TestSteadyStateDialsOnceAndSendsWhatIsDocumented(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	account := person(t, d, "alice")
	connections, binds, operations := fake.fake.Connections(), fake.fake.Binds(), fake.fake.Operations()
	passwords := []string{"Wort-Eins 2026", "Wort-Zwei 2026", "Wort-Drei 2026", "Wort-Vier 2026"}
	for _, each := range passwords {
		account = person(t, d, "alice")
		if err := d.Write(deadline(t), account, reset(each)); err != nil {
			t.Fatal(err)
		}
	}
	if fake.fake.Connections() != connections || fake.fake.Binds() != binds {
		t.Errorf("%d connections, %d binds in the steady state", fake.fake.Connections()-connections, fake.fake.Binds()-binds)
	}
	// By name: search, base read and, beside them, the rootDSE; then the Modify.
	if got := fake.fake.Operations() - operations; got != 4*len(passwords) {
		t.Errorf("%d operations for %d resets, want 4 each", got, len(passwords))
	}
	operations = fake.fake.Operations()
	if _, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByGUID, Value: account.GUID.String()}); err != nil {
		t.Fatal(err)
	}
	if got := fake.fake.Operations() - operations; got != 2 {
		t.Errorf("%d operations to resolve by GUID, want the base read and the rootDSE", got)
	}
}

func TestFailoverAndReturn(t *testing.T) {
	t.Parallel() // it waits
	first, second := startFake(t), startFake(t)
	config := first.domain()
	config.Controllers = []string{first.address, second.address}
	config.RootCAs.AddCert(certificateOf(t, second.fake.CAPEM()))
	quick(&config)
	d := open(t, config)
	if got := person(t, d, "alice").Controller; got != first.address {
		t.Fatalf("read from %s, want the preferred %s", got, first.address)
	}
	remove := first.fake.Inject(adtest.Fault{On: adtest.OnSearch, Effect: adtest.Hang})
	account := person(t, d, "alice")
	if account.Controller != second.address {
		t.Fatalf("read from %s, want %s while the first hangs", account.Controller, second.address)
	}
	if err := d.Write(deadline(t), account, reset(newPassword)); err != nil {
		t.Errorf("write: %v", err)
	}
	if first.fake.Writes("alice") != 0 || second.fake.Writes("alice") != 1 {
		t.Error("the write did not go to the controller that the account was read from")
	}
	wantInUse(t, d.Status(), second.address)
	remove()
	wantInUse(t, d.Health(deadline(t)), second.address) // back, but on trial
	if status := d.Status()[0]; !status.Settling || !status.Preferred {
		t.Errorf("%+v, want the preferred one on trial", status)
	}
	d.AgeFailures(time.Minute)
	wantInUse(t, d.Health(deadline(t)), first.address)
	if got := person(t, d, "bob").Controller; got != first.address {
		t.Errorf("read from %s after the preferred controller came back", got)
	}
}

func wantInUse(t *testing.T, status []ldapwriter.ControllerStatus, address string) {
	t.Helper()
	for _, s := range status {
		if s.InUse != (s.Address == address) {
			t.Errorf("%s in use: %v, want only %s (last error %q)", s.Address, s.InUse, address, s.LastError)
		}
	}
}

func TestSearchBudgetBoundsResolve(t *testing.T) {
	fake := startFake(t)
	defer fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Hang})()
	d, err := ldapwriter.New(ldapwriter.Config{SearchBudget: 200 * time.Millisecond, Domains: []ldapwriter.DomainConfig{fake.domain()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	_, err = d.Resolve(context.Background(), writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix})
	wantReason(t, err, writeback.DirectoryUnavailable)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap context.DeadlineExceeded", err)
	}
}

// Every try with a wrong password counts against the delegated account's own lockout.
func TestWrongBindPasswordIsTriedOnce(t *testing.T) {
	fake := startFake(t)
	current := "wrong"
	d := fake.directory(t, func(config *ldapwriter.DomainConfig) {
		config.BindPassword = func(context.Context) (secret.Value, error) { return secret.NewString(current), nil }
	})
	subject := writeback.Subject{Kind: writeback.ByUPN, Value: "alice" + userSuffix}
	for range 3 {
		_, err := d.Resolve(deadline(t), subject)
		wantReason(t, err, writeback.DirectoryAccessDenied)
	}
	if got := fake.fake.Binds(); got != 1 {
		t.Errorf("%d binds with a password known to be wrong, want 1", got)
	}
	current = fake.servicePassword
	if _, err := d.Resolve(deadline(t), subject); err != nil {
		t.Errorf("after the password was corrected: %v", err)
	}
}

func TestConcurrentUseStaysWithinTheConnections(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t, func(config *ldapwriter.DomainConfig) { config.Connections = 2 })
	done := make(chan error)
	logins := []string{"alice", "bob", "carol", "dave", "erin", "comma1", "plus1", "cjk1"}
	for _, login := range logins {
		go func() {
			account, err := d.Resolve(context.Background(), writeback.Subject{Kind: writeback.ByUPN, Value: login + userSuffix})
			if err == nil {
				err = d.Write(context.Background(), account, reset(newPassword))
			}
			done <- err
		}()
	}
	for range logins {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if got := fake.fake.Connections(); got > 2 {
		t.Errorf("%d connections, want at most 2", got)
	}
}
