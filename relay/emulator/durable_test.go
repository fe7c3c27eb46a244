package emulator_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/store"
)

// kept is the standard namespace, kept in a directory.
func kept(dir string) emulator.Config {
	cfg := standard()
	cfg.Dir = dir
	cfg.Queues[0].DuplicateWindow = time.Hour
	return cfg
}

// imitate copies a directory as it stands, which is what a process killed at this moment leaves behind.
func imitate(t testing.TB, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	must(t, os.CopyFS(to, os.DirFS(dir)))
	return to
}

// reopen closes a server and makes another from its directory.
func reopen(t testing.TB, s *emulator.Server, cfg emulator.Config) *emulator.Server {
	t.Helper()
	must(t, s.Close())
	return newServer(t, cfg)
}

// peeked are the bodies of all messages of a queue with their sequence numbers, delivery counts and times.
type peeked struct {
	Body     string
	Sequence int64
	Count    uint32
	State    azservicebus.MessageState
	Enqueued time.Time
}

func peek(t testing.TB, r *azservicebus.Receiver) []peeked {
	t.Helper()
	msgs, err := r.PeekMessages(within(t), 100, &azservicebus.PeekMessagesOptions{FromSequenceNumber: ptr(int64(1))})
	must(t, err)
	var out []peeked
	for _, m := range msgs {
		out = append(out, peeked{string(m.Body), *m.SequenceNumber, m.DeliveryCount, m.State, *m.EnqueuedTime})
	}
	return out
}

// populate puts a message of every kind into the plain queue and returns the number of the deferred one.
func populate(t testing.TB, c *azservicebus.Client) (deferred int64) {
	t.Helper()
	r := newReceiver(t, c, plainQueue, nil)
	for _, body := range []string{"completed", "deferred", "abandoned", "dead"} {
		send(t, c, plainQueue, body, func(m *azservicebus.Message) { m.MessageID = &body })
	}
	got := receive(t, r, 4)
	must(t, r.CompleteMessage(within(t), got[0], nil))
	must(t, r.DeferMessage(within(t), got[1], nil))
	must(t, r.AbandonMessage(within(t), got[2], &azservicebus.AbandonMessageOptions{PropertiesToModify: map[string]any{"tried": int32(1)}}))
	must(t, r.DeadLetterMessage(within(t), got[3], &azservicebus.DeadLetterOptions{Reason: ptr("bad"), ErrorDescription: ptr("very")}))
	_, err := newSender(t, c, plainQueue).ScheduleMessages(within(t), []*azservicebus.Message{{Body: []byte("scheduled")}}, time.Now().Add(time.Hour), nil)
	must(t, err)
	send(t, c, plainQueue, "untouched", func(m *azservicebus.Message) {
		m.ApplicationProperties = map[string]any{"k": int64(7)}
		m.CorrelationID, m.TimeToLive = ptr("c"), ptr(time.Hour)
	})
	return *got[1].SequenceNumber
}

// After a restart in good order and after one without, everything is as it was.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	s := newServer(t, kept(dir))
	c := connect(t, s)
	deferred := populate(t, c)
	before, dead := peek(t, newReceiver(t, c, plainQueue, nil)), peek(t, deadLetters(t, c, plainQueue))
	killed := imitate(t, dir)
	must(t, s.Close())
	for how, dir := range map[string]string{"closed": dir, "killed": killed} {
		t.Run(how, func(t *testing.T) {
			s := newServer(t, kept(dir))
			c := connect(t, s)
			r, d := newReceiver(t, c, plainQueue, nil), deadLetters(t, c, plainQueue)
			if diff := cmp.Diff(before, peek(t, r)); diff != "" {
				t.Errorf("queue (-before +after):\n%s", diff)
			}
			if diff := cmp.Diff(dead, peek(t, d)); diff != "" {
				t.Errorf("dead letters (-before +after):\n%s", diff)
			}
			m := receiveOne(t, d)
			if string(m.Body) != "dead" || *m.DeadLetterReason != "bad" || *m.DeadLetterErrorDescription != "very" || *m.DeadLetterSource != plainQueue {
				t.Errorf("dead letter %+v", m)
			}
			got, err := r.ReceiveDeferredMessages(within(t), []int64{deferred}, nil)
			must(t, err)
			must(t, r.CompleteMessage(within(t), got[0], nil))
			send(t, c, plainQueue, "again", func(m *azservicebus.Message) { m.MessageID = ptr("completed") })
			send(t, c, plainQueue, "new")
			last := receive(t, r, 3)
			if diff := cmp.Diff([]string{"abandoned", "untouched", "new"}, bodies(last)); diff != "" {
				t.Errorf("received (-want +got):\n%s", diff)
			}
			if last[0].ApplicationProperties["tried"] != int32(1) || last[1].ApplicationProperties["k"] != int64(7) ||
				*last[1].CorrelationID != "c" || *last[1].TimeToLive != time.Hour || *last[2].SequenceNumber != 7 {
				t.Errorf("details: %+v", last)
			}
		})
	}
}

// A lock ends with the process and counts as a failed attempt; the message settled before does not come back.
func TestRestartExpiresLocks(t *testing.T) {
	for how, stop := range map[string]func(*emulator.Server, string) string{
		"closed": func(s *emulator.Server, dir string) string { must(t, s.Close()); return dir },
		"killed": func(_ *emulator.Server, dir string) string { return imitate(t, dir) },
	} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			s := newServer(t, kept(dir))
			c := connect(t, s)
			send(t, c, plainQueue, "held")
			held := receiveOne(t, newReceiver(t, c, plainQueue, nil))
			s = newServer(t, kept(stop(s, dir)))
			c = connect(t, s)
			r := newReceiver(t, c, plainQueue, nil)
			wantCode(t, r.CompleteMessage(within(t), &azservicebus.ReceivedMessage{LockToken: held.LockToken}, nil), azservicebus.CodeLockLost)
			if m := receiveOne(t, r); m.DeliveryCount != 2 || *m.SequenceNumber != *held.SequenceNumber {
				t.Errorf("delivery %d of number %d", m.DeliveryCount, *m.SequenceNumber)
			}
		})
	}
}

func TestRestartSessions(t *testing.T) {
	cfg := kept(t.TempDir())
	s := newServer(t, cfg)
	c := connect(t, s)
	send(t, c, sessionQueue, "one", inSession("a"))
	send(t, c, sessionQueue, "two", inSession("b"))
	held, err := c.AcceptSessionForQueue(within(t), sessionQueue, "a", nil)
	must(t, err)
	must(t, held.SetSessionState(within(t), []byte("so far"), nil))
	s = reopen(t, s, cfg)
	c = connect(t, s)
	held, err = c.AcceptSessionForQueue(within(t), sessionQueue, "a", nil)
	must(t, err)
	state, err := held.GetSessionState(within(t), nil)
	must(t, err)
	if m := receiveOne(t, held); string(m.Body) != "one" || string(state) != "so far" {
		t.Errorf("message %q, state %q", m.Body, state)
	}
	next, err := c.AcceptNextSessionForQueue(within(t), sessionQueue, nil)
	must(t, err)
	if next.SessionID() != "b" {
		t.Errorf("next session %q", next.SessionID())
	}
}

// Queues made at run time are there again with their settings, deleted ones are gone, unless the Config names them.
func TestRestartQueues(t *testing.T) {
	cfg := kept(t.TempDir())
	s := newServer(t, cfg)
	a := administer(t, s)
	p := properties()
	p.RequiresSession = ptr(false)
	create(t, a, "Made", &p)
	create(t, a, "deleted", nil)
	p.Status, p.MaxDeliveryCount = ptr(admin.EntityStatusSendDisabled), ptr(int32(3))
	_, err := a.UpdateQueue(within(t), "made", p, nil)
	must(t, err)
	for _, name := range []string{"deleted", sessionQueue} {
		_, err = a.DeleteQueue(within(t), name, nil)
		must(t, err)
	}
	before, err := a.GetQueueRuntimeProperties(within(t), "made", nil)
	must(t, err)

	s = reopen(t, s, cfg)
	a = administer(t, s)
	got, err := a.GetQueue(within(t), "made", nil)
	must(t, err)
	if diff := cmp.Diff(p, got.QueueProperties); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	after, err := a.GetQueueRuntimeProperties(within(t), "made", nil)
	must(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("times (-before +after):\n%s", diff)
	}
	page, err := a.NewListQueuesPager(nil).NextPage(within(t))
	must(t, err)
	var names []string
	for _, q := range page.Queues {
		names = append(names, q.QueueName)
	}
	if diff := cmp.Diff([]string{"Made", plainQueue, sessionQueue}, names); diff != "" {
		t.Errorf("queues (-want +got):\n%s", diff)
	}
}

// A Config goes before what was kept, except for messages.
func TestRestartWithOtherSettings(t *testing.T) {
	cfg := kept(t.TempDir())
	s := newServer(t, cfg)
	send(t, connect(t, s), plainQueue, "stays")
	cfg.Queues[0].Name, cfg.Queues[0].LockDuration, cfg.Queues[0].MaxDeliveryCount = "REQUESTS", 7*time.Second, 1
	s = reopen(t, s, cfg)
	got, err := administer(t, s).GetQueue(within(t), plainQueue, nil)
	must(t, err)
	if *got.LockDuration != "PT7S" || *got.MaxDeliveryCount != 1 {
		t.Errorf("%s %d", *got.LockDuration, *got.MaxDeliveryCount)
	}
	receiveOne(t, newReceiver(t, connect(t, s), plainQueue, nil))
	cfg.Queues[0].RequiresSession = true
	must(t, s.Close())
	if _, err := emulator.New(cfg); err == nil || !strings.Contains(err.Error(), "SessionId") {
		t.Errorf("a queue of messages without sessions opened as one with: %v", err)
	}
}

// What comes due while nothing runs is done at the start.
func TestRestartLater(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		cfg := kept(dir)
		cfg.Queues[0].DeadLetterOnExpiry = true
		s := newServer(t, cfg)
		c := connect(t, s)
		send(t, c, plainQueue, "short", func(m *azservicebus.Message) { m.TimeToLive = ptr(time.Minute) })
		_, err := newSender(t, c, plainQueue).ScheduleMessages(within(t), []*azservicebus.Message{{Body: []byte("due")}}, time.Now().Add(time.Hour), nil)
		must(t, err)
		must(t, c.Close(within(t)))
		must(t, s.Close())
		time.Sleep(2 * time.Hour)
		s = newServer(t, cfg)
		if n := counts(t, s, plainQueue); n.Active != 1 || n.Scheduled != 0 || n.DeadLettered != 1 {
			t.Errorf("%+v", n)
		}
		c = connect(t, s)
		if m := receiveOne(t, newReceiver(t, c, plainQueue, nil)); string(m.Body) != "due" {
			t.Errorf("received %q", m.Body)
		}
		must(t, c.Close(within(t)))
		must(t, s.Close())
	})
}

// Opening compacts: what was sent and completed a hundred times leaves nothing.
func TestRestartCompacts(t *testing.T) {
	cfg := kept(t.TempDir())
	cfg.Queues[0].DuplicateWindow = 0
	cfg.Sync = true
	s := newServer(t, cfg)
	c := connect(t, s)
	for range 50 {
		send(t, c, plainQueue, strings.Repeat("x", 1000))
	}
	r := newReceiver(t, c, plainQueue, nil)
	for _, m := range receive(t, r, 50) {
		must(t, r.CompleteMessage(within(t), m, nil))
	}
	file := filepath.Join(cfg.Dir, plainQueue+".queue")
	before, err := os.Stat(file)
	must(t, err)
	reopen(t, s, cfg)
	after, err := os.Stat(file)
	must(t, err)
	if before.Size() < 50_000 || after.Size() > 1000 {
		t.Errorf("%d bytes before, %d after", before.Size(), after.Size())
	}
}

// While messages come and go, a copy of the directory may be taken at any moment: what had been accepted before and was
// not touched is in it.
func TestCopyWhileRunning(t *testing.T) {
	cfg := kept(t.TempDir())
	s := newServer(t, cfg)
	c := connect(t, s)
	send(t, c, sessionQueue, "settled in", inSession("s"))
	ctx, stop := within(t), make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		sender, r := newSender(t, c, plainQueue), newReceiver(t, c, plainQueue, nil)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := sender.SendMessage(ctx, &azservicebus.Message{Body: make([]byte, 5000)}, nil); err != nil {
				t.Errorf("send: %v", err)
				return
			}
			msgs, err := r.ReceiveMessages(ctx, 1, nil)
			if err != nil {
				t.Errorf("receive: %v", err)
				return
			}
			for _, m := range msgs {
				if err := r.CompleteMessage(ctx, m, nil); err != nil {
					t.Errorf("complete: %v", err)
				}
			}
		}
	}()
	for range 20 {
		send(t, c, sessionQueue, "more", inSession("s"))
		accepted := counts(t, s, sessionQueue).Active
		copied := kept(imitate(t, cfg.Dir))
		again, err := emulator.New(copied)
		must(t, err)
		if n := counts(t, again, sessionQueue).Active; n != accepted {
			t.Errorf("%d messages in the copy, %d had been accepted", n, accepted)
		}
		if n := counts(t, again, plainQueue); n.Active > 1 || n.Locked > 0 {
			t.Errorf("more in the copy than was ever there: %+v", n)
		}
		must(t, again.Close())
	}
	close(stop)
	<-done
}

// A disk that takes no more is told to the sender.
func TestSendThatCannotBeKept(t *testing.T) {
	cfg := kept(t.TempDir())
	s := newServer(t, cfg)
	a := administer(t, s)
	must(t, os.RemoveAll(cfg.Dir))
	_, err := a.CreateQueue(within(t), "q", nil)
	wantStatus(t, err, 500, "cannot be kept")
	if _, err := s.Counts("q"); !errors.Is(err, emulator.ErrNoQueue) {
		t.Errorf("a queue that could not be kept is there: %v", err)
	}
}

func TestDirectoryRefused(t *testing.T) {
	cfg := kept(t.TempDir())
	newServer(t, cfg)
	if _, err := emulator.New(cfg); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("two at once: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	if _, err := emulator.New(kept(file)); err == nil {
		t.Error("a file taken for a directory")
	}
}

// Files that are whole but make no sense are not taken for queues.
func TestDefinitionsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, reason string }{
		"no JSON":          {"x", "the definition"},
		"a newer one":      {`{"Version":2,"Name":"q"}`, "version 2"},
		"an unknown field": {`{"Version":1,"Name":"q","Colour":"red"}`, "Colour"},
		"no name":          {`{"Version":1}`, "no queue name"},
		"a negative lock":  {`{"Version":1,"Name":"q","LockDuration":-1}`, "must not be negative"},
		"configured twice": {`{"Version":1,"Name":"Requests"}`, ""},
	} {
		cfg := kept(t.TempDir())
		d, err := store.Open(cfg.Dir, false)
		must(t, err)
		f, err := d.Create("file", []byte(c.text))
		must(t, err)
		must(t, f.Close())
		must(t, d.Close())
		s, err := emulator.New(cfg)
		if c.reason == "" {
			must(t, err)
			must(t, s.Close())
		} else if err == nil || !strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), "file.queue") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file copied by hand within the directory would be a second queue of the same name.
func TestQueueInTwoFiles(t *testing.T) {
	cfg := kept(t.TempDir())
	must(t, newServer(t, cfg).Close())
	b, err := os.ReadFile(filepath.Join(cfg.Dir, plainQueue+".queue"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(cfg.Dir, "copy.queue"), b, 0o600))
	if _, err := emulator.New(cfg); err == nil || !strings.Contains(err.Error(), "another file") {
		t.Errorf("error %v", err)
	}
}

// Closing twice is as good as once, and another may have the directory by then.
func TestCloseTwice(t *testing.T) {
	cfg := kept(t.TempDir())
	s := newServer(t, cfg)
	must(t, s.Close())
	newServer(t, cfg)
	must(t, s.Close())
}

// FuzzDirectory: no content of a file makes New panic, and a namespace that opens works and opens again.
func FuzzDirectory(f *testing.F) {
	cfg := kept(f.TempDir())
	s := newServer(f, cfg)
	populate(f, connect(f, s))
	whole, err := os.ReadFile(filepath.Join(cfg.Dir, plainQueue+".queue"))
	must(f, err)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("wbqueue1"))
	f.Fuzz(func(t *testing.T, content []byte) {
		cfg := kept(t.TempDir())
		must(t, os.WriteFile(filepath.Join(cfg.Dir, "x.queue"), content, 0o600))
		for range 2 {
			s, err := emulator.New(cfg)
			if err != nil {
				return
			}
			if _, err := s.Counts(plainQueue); err != nil {
				t.Fatal(err)
			}
			must(t, s.Close())
		}
	})
}
