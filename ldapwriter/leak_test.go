package ldapwriter_test

import (
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// Whatever goes wrong with a controller, nothing of it stays: no goroutine, no connection, and no place in the pool.
func TestFailuresLeaveNothingBehind(t *testing.T) {
	fake := startFake(t)
	before := runtime.NumGoroutine()
	config := fake.domain()
	config.DialTimeout, config.ReadTimeout, config.WriteTimeout, config.Connections = 60*time.Millisecond, 30*time.Millisecond, 30*time.Millisecond, 2
	d, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}})
	if err != nil {
		t.Fatal(err)
	}
	var account writeback.Account
	found := func() bool {
		account, err = d.Resolve(deadline(t), writeback.Subject{Kind: writeback.ByUPN, Value: aliceLogin})
		return err == nil
	}
	waitFor(t, found)
	nonsense := func(int64) io.Reader { return strings.NewReader("\x30\x03\x02\x01\x7f nonsense") }
	for _, on := range []adtest.Operation{adtest.OnBind, adtest.OnSearch, adtest.OnModify} {
		for _, effect := range []adtest.Effect{adtest.DropBefore, adtest.Hang, adtest.Say} {
			remove := fake.fake.Inject(adtest.Fault{On: on, Effect: effect, Raw: nonsense})
			for range 3 { // more than there are places
				_ = resolveAlice(t, d)
				_ = d.Write(deadline(t), account, reset(newPassword))
				_, _ = d.Probe(deadline(t), account, secret.NewString("x"))
				fake.fake.Disconnect()
			}
			remove()
			waitFor(t, found)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return runtime.NumGoroutine() <= before })
}

// A request that is called off says nothing about the controller that was working on it.
func TestACalledOffRequestIsNoFailure(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t)
	person(t, d, "alice")
	struck := make(chan string, 1)
	remove := fake.fake.Inject(adtest.Fault{On: adtest.OnSearch, Effect: adtest.Hang, Struck: struck})
	defer remove()
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-struck; cancel() }()
	_, err := d.Resolve(ctx, writeback.Subject{Kind: writeback.ByUPN, Value: aliceLogin})
	wantReason(t, err, writeback.DirectoryUnavailable)
	if status := d.Status()[0]; status.LastError != "" || !status.LastErrorAt.IsZero() {
		t.Errorf("a failure is held against the controller: %+v", status)
	}
}
