package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/sambalab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
	"github.com/password-writeback/writeback/relay/requester"
)

// outage is an agent in front of two controllers that come and go.
type outage struct {
	*installation
	pair      *sambalab.Pair
	direct    map[string]*ldapwriter.Directory // past the agent, one for each controller
	passwords map[string]secret.Value          // what everybody's is now
	open      map[string]bool                  // whose last request has no known outcome
	states    map[string]writeback.PasswordState
	rounds    int
	last      []*request
}

// Of a round.
const (
	workers = 8
	// early is how many requests are answered before the disturbance begins, late how many more before it ceases.
	early, late = 4, 6
	// tolerance is for how long the agent takes a password that another controller wrote for somebody else's, and more.
	tolerance = 6 * time.Second
	// longest bounds what needs several of the agent's own waits.
	longest = 3 * time.Minute
)

func (o *outage) begin(t *testing.T) {
	t.Helper()
	o.passwords, o.open, o.states = map[string]secret.Value{}, map[string]bool{}, map[string]writeback.PasswordState{}
	o.direct = map[string]*ldapwriter.Directory{"dc1": past(t, o.pair.DC1), "dc2": past(t, o.pair.DC2)}
	for _, login := range people() {
		o.passwords[login] = o.pair.DC1.UserPassword
		o.states[login] = o.agreed(t, login)
	}
}

// past opens a directory on one controller alone.
func past(t *testing.T, at *sambalab.Lab) *ldapwriter.Directory {
	t.Helper()
	directory, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{{
		Name: "corp.example.com", NetBIOSName: "CORP", Controllers: []string{at.Addr}, RootCAs: at.Roots(t), BindUser: at.ServiceUser,
		BindPassword: func(context.Context) (secret.Value, error) { return at.ServicePassword, nil },
	}}})
	check(t, err)
	t.Cleanup(func() { check(t, directory.Close()) })
	return directory
}

// round sends one request for everybody, disturbs a controller meanwhile, and compares what was answered with what both controllers hold.
func (o *outage) round(t *testing.T, d disturbance) {
	t.Helper()
	o.rounds++
	o.last = o.requests(t)
	o.letAge(t)
	started := time.Now()
	answered, done := o.send(t, o.last)
	wait(t, answered, early)
	if d.name != "" {
		d.begin(t, d.name)
		disturbed := time.Now()
		wait(t, answered, len(answered)+late) // not those that had been answered before
		t.Logf("round %d: %s away; %d more answers within %.1f s", o.rounds, d.name, late, time.Since(disturbed).Seconds())
		d.cease(t, d.name)
	}
	<-done
	counts := map[string]int{}
	for _, r := range o.last {
		o.verify(t, r)
		counts[string(r.outcome.Verdict)+" "+string(r.outcome.Reason)]++
	}
	t.Logf("round %d: %v in %.1f s; %d written by dc1, %d by dc2", o.rounds, counts, time.Since(started).Seconds(), o.writtenBy(t, "dc1"), o.writtenBy(t, "dc2"))
}

// letAge waits until no password is so new that the agent would rather not overwrite it: it does not know its own writes again that
// came to a controller from the other one.
func (o *outage) letAge(t *testing.T) {
	t.Helper()
	var newest time.Time
	for _, state := range o.states {
		if changed := state.ChangedAtLocal(); changed.After(newest) {
			newest = changed
		}
	}
	select {
	case <-time.After(time.Until(newest.Add(tolerance))):
	case <-t.Context().Done():
	}
}

// requests are resets, every third one a change, and one unlock.
func (o *outage) requests(t *testing.T) []*request {
	t.Helper()
	var list []*request
	for i, login := range people() {
		if o.open[login] {
			continue // the agent has them wait for an hour at most
		}
		r := &request{login: login, operation: writeback.OpReset, before: o.passwords[login], asked: newPassword("New-")}
		if i%3 == 2 {
			r.operation = writeback.OpChange
		}
		list = append(list, r)
	}
	login := unlocked(o.rounds)
	at := o.pair.DC1
	for range 3 {
		_, err := adtest.Logon(t.Context(), at.Addr, at.Roots(t), at.UPN(login), secret.NewString("a guess"))
		check(t, err)
	}
	if o.states[login] = o.agreed(t, login); !o.states[login].LockoutTimeSet {
		t.Fatalf("%s should be locked out", login)
	}
	middle := len(list) / 3
	return append(list[:middle:middle], append([]*request{{login: login, operation: writeback.OpUnlock, before: at.UserPassword}}, list[middle:]...)...)
}

// send has the workers ask. Each answer is told in answered; done is closed after the last.
func (o *outage) send(t *testing.T, list []*request) (answered <-chan struct{}, done <-chan struct{}) {
	t.Helper()
	next, ended := make(chan *request), make(chan struct{})
	told := make(chan struct{}, len(list))
	var asking sync.WaitGroup
	for range workers {
		asking.Go(func() {
			for r := range next {
				if err := o.ask(t.Context(), r); err != nil {
					t.Errorf("%s of %s: %v", r.operation, r.login, err)
				}
				told <- struct{}{}
			}
		})
	}
	go func() {
		for _, r := range list {
			next <- r
		}
		close(next)
		asking.Wait()
		close(ended)
	}()
	return told, ended
}

func wait(t *testing.T, answered <-chan struct{}, count int) {
	t.Helper()
	deadline := time.After(longest)
	for range count {
		select {
		case <-answered:
		case <-deadline:
			t.Fatal("no answers any more")
		}
	}
}

// ask sends one request as a portal does. No answer is like "unknown".
func (o *outage) ask(ctx context.Context, r *request) error {
	user := writeback.Subject{Kind: writeback.ByUPN, Value: o.pair.DC1.UPN(r.login)}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	var result writeback.Result
	var err error
	switch r.operation {
	case writeback.OpChange:
		result, err = o.portal.Change(ctx, requester.ChangeRequest{User: user, OldPassword: r.before, Password: r.asked, By: lab.Verified()})
	case writeback.OpUnlock:
		result, err = o.portal.Unlock(ctx, requester.UnlockRequest{User: user, By: lab.Verified()})
	default:
		result, err = o.portal.Reset(ctx, requester.ResetRequest{User: user, Password: r.asked, By: lab.Verified()})
	}
	r.id, r.outcome = result.RequestID, result.Outcome
	if result.Outcome.Reason == writeback.PolicyOperationNotAllowed || result.Outcome.Reason == writeback.RequestSuperseded {
		return fmt.Errorf("answered with %s", result.Outcome.Reason)
	}
	var silence *requester.ExchangeError
	if errors.As(err, &silence) {
		r.id, r.outcome.Verdict, err = silence.RequestID, writeback.Unknown, nil
	}
	return err
}

// verify compares what was answered for one request with what both controllers hold now.
func (o *outage) verify(t *testing.T, r *request) {
	t.Helper()
	state := o.agreed(t, r.login)
	moved := state.Version - o.states[r.login].Version
	cleared := r.operation == writeback.OpUnlock && !state.LockoutTimeSet
	if r.outcome.Verdict == writeback.Unknown && (moved > 0 || cleared) {
		r.outcome = o.revised(t, r)
	}
	want := uint32(0)
	if r.outcome.Verdict == writeback.Written && r.operation != writeback.OpUnlock {
		want = 1
	}
	if moved != want {
		t.Errorf("%s of %s ended %s %s, and its password was written %d times", r.operation, r.login, r.outcome.Verdict, r.outcome.Reason, moved)
	}
	if r.operation == writeback.OpUnlock && cleared != (r.outcome.Verdict == writeback.Written) {
		t.Errorf("unlock of %s ended %s %s, unlocked %v", r.login, r.outcome.Verdict, r.outcome.Reason, cleared)
	}
	o.open[r.login] = r.outcome.Verdict == writeback.Unknown
	o.states[r.login] = state
	if want == 1 {
		o.passwords[r.login] = r.asked
	}
	if r.operation != writeback.OpUnlock {
		o.wantPassword(t, r.login, o.passwords[r.login])
	}
}

// revised waits for the correction of an answer that was "unknown".
func (o *outage) revised(t *testing.T, r *request) writeback.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	result, err := o.portal.Await(ctx, r.id)
	if err != nil {
		t.Errorf("%s of %s took effect, and no revision says so: %v", r.operation, r.login, err)
		return r.outcome
	}
	return result.Outcome
}

// wantPassword logs on to both controllers.
func (o *outage) wantPassword(t *testing.T, login string, password secret.Value) {
	t.Helper()
	for _, at := range []*sambalab.Lab{o.pair.DC1, o.pair.DC2} {
		if code, err := adtest.Logon(t.Context(), at.Addr, at.Roots(t), at.UPN(login), password); code != "" || err != nil {
			t.Errorf("a logon of %s at %s was answered with %q (%v)", login, at.Host, code, err)
		}
	}
}

// agreed waits until both controllers hold the same of a person's password, and returns it.
func (o *outage) agreed(t *testing.T, login string) writeback.PasswordState {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	for {
		first, err1 := o.held(ctx, "dc1", login)
		second, err2 := o.held(ctx, "dc2", login)
		if err1 == nil && err2 == nil && first.Version == second.Version && first.Originating == second.Originating && first.LockoutTimeSet == second.LockoutTimeSet {
			return first
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the controllers do not agree about %s: version %d (%v) and %d (%v)", login, first.Version, err1, second.Version, err2)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (o *outage) held(ctx context.Context, name, login string) (writeback.PasswordState, error) {
	account, err := o.direct[name].Resolve(ctx, writeback.Subject{Kind: writeback.ByUPN, Value: o.pair.DC1.UPN(login)})
	if err != nil {
		return writeback.PasswordState{}, err
	}
	return o.direct[name].PasswordState(ctx, account)
}

// wantWrittenBy fails the test unless the controller made at least one of the last round's writes.
func (o *outage) wantWrittenBy(t *testing.T, name string) {
	t.Helper()
	if o.writtenBy(t, name) == 0 {
		t.Errorf("round %d: nothing was written by %s", o.rounds, name)
	}
}

// writtenBy counts the last round's passwords that a controller wrote.
func (o *outage) writtenBy(t *testing.T, name string) (count int) {
	t.Helper()
	for _, r := range o.last {
		if r.operation == writeback.OpUnlock || r.outcome.Verdict != writeback.Written {
			continue
		}
		state, err := o.held(t.Context(), name, r.login)
		check(t, err)
		if state.Originating == state.Own {
			count++
		}
	}
	return count
}

// wantAllWritten: a controller that is not in use is not missed.
func (o *outage) wantAllWritten(t *testing.T) {
	t.Helper()
	for _, r := range o.last {
		if r.outcome.Verdict != writeback.Written {
			t.Errorf("round %d: %s of %s ended %s %s", o.rounds, r.operation, r.login, r.outcome.Verdict, r.outcome.Reason)
		}
	}
}

// wantNothingMore: nothing was carried out after it had been judged.
func (o *outage) wantNothingMore(t *testing.T) {
	t.Helper()
	for login, before := range o.states {
		if after := o.agreed(t, login); after.Version != before.Version {
			t.Errorf("%s: version %d after the stream, %d now", login, before.Version, after.Version)
		}
	}
}

// long waits until the agent's status is as wanted, for as long as a controller may be on trial.
func (o *outage) long(t *testing.T, wanted func(lab.Status) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	check(t, o.agent.Until(ctx, wanted))
}
