package ldapwriter_test

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// pair opens a Directory on two controllers of one domain that share their data.
func pair(t *testing.T, first, second *controller, change ...func(*ldapwriter.DomainConfig)) *ldapwriter.Directory {
	t.Helper()
	return first.directory(t, append(change, func(c *ldapwriter.DomainConfig) {
		c.Controllers = []string{first.address, second.address}
		quick(c)
	})...)
}

// A controller is killed, hangs, drops connections and returns, while resets go on: each is written once or not at all, and whoever was
// told that it was written, or not sent, was told the truth.
func TestStreamOfResetsSurvivesControllers(t *testing.T) {
	for _, which := range []int{0, 1} {
		t.Run([]string{"the preferred one", "the other one"}[which], func(t *testing.T) {
			first := startFake(t, func(o *adtest.Options) { o.Domain.Policy = adtest.Policy{} })
			controllers := []*controller{first, first.peer(t, "dc2")}
			d := pair(t, controllers[0], controllers[1])
			stream := startStream(t, d, first)
			victim := controllers[which]
			for _, trouble := range []func(*testing.T, *controller) (*controller, func()){hang, drop, kill} {
				stream.wait(t)
				back, end := trouble(t, victim)
				stream.wait(t)
				end()
				victim = back
				d.AgeFailures(time.Minute)
				stream.wait(t)
			}
			stream.stop(t)
		})
	}
}

func hang(_ *testing.T, c *controller) (*controller, func()) {
	var removes []func()
	for _, on := range []adtest.Operation{adtest.OnBind, adtest.OnSearch, adtest.OnModify} {
		removes = append(removes, c.fake.Inject(adtest.Fault{On: on, Effect: adtest.Hang}))
	}
	return c, func() {
		for _, remove := range removes {
			remove()
		}
	}
}

func drop(_ *testing.T, c *controller) (*controller, func()) {
	before := c.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.DropBefore, Times: 2})
	after := c.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.DropAfter, Times: 2})
	c.fake.Disconnect()
	return c, func() { before(); after() }
}

func kill(t *testing.T, c *controller) (*controller, func()) {
	_ = c.fake.Close()
	back := *c
	return &back, func() {
		back.fake = adtest.Start(t, adtest.Options{Address: c.address, Peer: c.fake})
	}
}

// stream resets passwords without end and counts what it was told.
type stream struct {
	directory *ldapwriter.Directory
	server    *adtest.Server // whose data is everybody's
	logins    []string
	quit      chan struct{}
	workers   sync.WaitGroup
	done      atomic.Int64 // resets that were confirmed

	mu               sync.Mutex
	written, unknown map[string]int
	faults           []string
}

func startStream(t *testing.T, d *ldapwriter.Directory, on *controller) *stream {
	s := &stream{
		directory: d, server: on.fake, logins: []string{"alice", "bob", "carol", "dave", "erin"}, quit: make(chan struct{}),
		written: make(map[string]int), unknown: make(map[string]int),
	}
	for _, login := range s.logins {
		s.workers.Go(func() { s.work(login) })
	}
	t.Cleanup(func() { s.end() })
	return s
}

func (s *stream) work(login string) {
	for i := 0; ; i++ {
		select {
		case <-s.quit:
			return
		default:
			s.reset(login, fmt.Sprintf("Stream-Wort %d", i))
		}
	}
}

func (s *stream) reset(login, password string) {
	ctx, cancel := context.WithTimeout(context.Background(), shortDeadline)
	defer cancel()
	account, err := s.directory.Resolve(ctx, writeback.Subject{Kind: writeback.BySAM, Value: corpNetBIOS + `\` + login})
	if err != nil { // a person would be told to try again
		s.judge(login, "resolve", err)
		return
	}
	s.judge(login, "write", s.directory.Write(ctx, account, reset(password)))
}

func (s *stream) judge(login, step string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch reason := writeback.ReasonOf(err); {
	case err == nil:
		s.written[login]++
		s.done.Add(1)
	case reason == writeback.DirectoryOutcomeUnknown && step == "write":
		s.unknown[login]++
	case reason != writeback.DirectoryUnavailable:
		s.faults = append(s.faults, fmt.Sprintf("%s of %s: %v", step, login, err))
	}
}

// wait lets the stream go on for some more confirmed resets: it fails when there are none.
func (s *stream) wait(t *testing.T) {
	t.Helper()
	target := s.done.Load() + 10
	waitFor(t, func() bool { return s.done.Load() >= target })
}

func (s *stream) end() {
	select {
	case <-s.quit:
	default:
		close(s.quit)
	}
	s.workers.Wait()
}

func (s *stream) stop(t *testing.T) {
	t.Helper()
	s.end()
	for _, fault := range s.faults {
		t.Error(fault)
	}
	for _, login := range s.logins {
		told, perhaps := s.written[login], s.unknown[login]
		// What hung is carried out at the latest when the server is closed, and those were closed or went on before.
		if got := s.server.Writes(login); got < told || got > told+perhaps {
			t.Errorf("%s: %d writes, told %d written and %d unknown", login, got, told, perhaps)
		}
	}
}

// Those who wait for a connection to a controller that hangs are sent to the next one: none of them tries it again by itself.
func TestWaitersLeaveAControllerThatHangs(t *testing.T) {
	t.Parallel() // it waits
	first := startFake(t)
	second := first.peer(t, "dc2")
	d := pair(t, first, second, func(c *ldapwriter.DomainConfig) { c.Connections = 1 })
	defer first.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Hang})()
	const requests = 24
	results := make(chan error, requests)
	for range requests {
		go func() {
			account, err := d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: corpNetBIOS + `\alice`})
			if err == nil && account.Controller != second.address {
				err = fmt.Errorf("read from %s", account.Controller)
			}
			results <- err
		}()
	}
	for range requests {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := first.fake.Binds(); got != 1 {
		t.Errorf("%d tries of the controller that hangs, want 1", got)
	}
}

// Whoever waits for a connection waits no longer than the request has time.
func TestWaitForAConnectionEndsWithTheRequest(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.Connections = 1 })
	account := person(t, d, "alice")
	struck := make(chan string, 1)
	remove := fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Hang, Struck: struck})
	first := make(chan error, 1)
	go func() { first <- d.Write(context.Background(), account, reset(newPassword)) }()
	<-struck
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := d.Write(ctx, account, reset(newPassword+"!"))
	wantReason(t, err, writeback.DirectoryUnavailable)
	remove()
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := fake.fake.Writes("alice"); got != 1 {
		t.Errorf("%d writes", got)
	}
}

// The listen backlog of a controller is short: a burst of requests makes no burst of connections.
func TestConnectionsAreOpenedAFewAtATime(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.Connections = 32 })
	person(t, d, "alice") // a password that was never accepted is sent by one alone
	fake.fake.Disconnect()
	waitFor(t, func() bool { return d.Status()[0].Connections == 0 })
	held := fake.fake.Inject(adtest.Fault{On: adtest.OnBind, Effect: adtest.Hang})
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			_, _ = d.Resolve(deadline(t), writeback.Subject{Kind: writeback.BySAM, Value: corpNetBIOS + `\alice`})
		})
	}
	waitFor(t, func() bool { return fake.fake.Binds() == 1+3 })
	if got := fake.fake.Connections(); got != 1+3 {
		t.Errorf("%d connections in the making, want 3", got-1)
	}
	held()
	group.Wait()
	if got := fake.fake.Connections(); got > 1+32 {
		t.Errorf("%d connections", got)
	}
}

// A controller that takes connections and says nothing, not even for TLS, costs its time once.
func TestSilentControllerIsLeft(t *testing.T) {
	t.Parallel() // it waits
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	good := startFake(t)
	var log logtest.Hook
	logger := logrus.New()
	logger.SetOutput(testWriter{})
	logger.AddHook(&log)
	config := good.domain()
	config.Controllers = []string{listener.Addr().String(), good.address}
	config.DialTimeout = 2 * time.Second
	d, err := ldapwriter.New(ldapwriter.Config{Domains: []ldapwriter.DomainConfig{config}, Log: logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	for range 3 {
		if got := person(t, d, "alice").Controller; got != good.address {
			t.Errorf("read from %s", got)
		}
	}
	if entries := log.AllEntries(); len(entries) != 1 || entries[0].Data["controller"] != good.address || entries[0].Level != logrus.WarnLevel {
		t.Errorf("log %+v, want one line about the controller in use", entries)
	}
}

type testWriter struct{}

func (testWriter) Write(b []byte) (int, error) { return len(b), nil }

// An unlock goes to the controller of the users' site too; nothing else does, and to no other.
func TestUnlockReachesTheSite(t *testing.T) {
	pdc := startFake(t)
	elsewhere := func(host, site string) *controller { // with data of its own: nothing is replicated
		c := startFake(t, inSite(site), func(o *adtest.Options) { o.Host = host })
		pdc.roots.AddCert(certificateOf(t, c.fake.CAPEM()))
		return c
	}
	far, near := elsewhere("dc2", "Madrid"), elsewhere("dc3", "Berlin")
	lockedOn := func(c *controller) bool {
		state, _ := c.fake.User("locked1")
		return !state.LockoutTime.IsZero()
	}
	write := func(change writeback.Change) {
		t.Helper()
		d := pdc.directory(t, func(c *ldapwriter.DomainConfig) {
			c.Controllers, c.Site = []string{pdc.address, far.address, near.address}, "berlin"
		})
		d.Health(deadline(t))
		if err := d.Write(deadline(t), person(t, d, "locked1"), change); err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil { // waits for what goes on in the background
			t.Fatal(err)
		}
	}
	write(reset(newPassword))
	if !lockedOn(near) || !lockedOn(pdc) {
		t.Error("a reset that does not ask for it unlocks")
	}
	write(writeback.Change{Operation: writeback.OpUnlock})
	if lockedOn(pdc) || lockedOn(near) || !lockedOn(far) {
		t.Errorf("locked on the PDC emulator: %v, in the site: %v, elsewhere: %v", lockedOn(pdc), lockedOn(near), lockedOn(far))
	}
	if near.fake.Writes("locked1") != 0 || far.fake.Writes("locked1") != 0 {
		t.Error("a password was written to another controller")
	}
}
