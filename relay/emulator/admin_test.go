package emulator_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"
	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
)

// adminHost is the namespace as administrators know it; httptest's certificate is for this name.
const adminHost = "example.com"

// administer makes an unmodified administration client with the namespace's key.
func administer(t testing.TB, s *emulator.Server) *admin.Client {
	t.Helper()
	return administerAs(t, s, "root", "namespace-key")
}

// administerAs goes over TLS, since the client speaks nothing else; the CA is httptest's.
func administerAs(t testing.TB, s *emulator.Server, name, key string) *admin.Client {
	t.Helper()
	front := httptest.NewTLSServer(s.ManagementHandler())
	t.Cleanup(front.Close)
	transport := front.Client().Transport.(*http.Transport).Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, front.Listener.Addr().String())
	}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := admin.NewClientFromConnectionString(
		"Endpoint=sb://"+adminHost+"/;SharedAccessKeyName="+name+";SharedAccessKey="+key,
		&admin.ClientOptions{ClientOptions: azcore.ClientOptions{
			Transport: &http.Client{Transport: transport},
			Retry:     policy.RetryOptions{MaxRetries: -1}, // none: what fails here fails for good
		}})
	must(t, err)
	return c
}

// wantStatus fails unless err is a refusal with the status and the text.
func wantStatus(t testing.TB, err error, status int, text string) {
	t.Helper()
	var refused *azcore.ResponseError
	if !errors.As(err, &refused) || refused.StatusCode != status || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v, want status %d and %q", err, status, text)
	}
}

func create(t testing.TB, c *admin.Client, name string, p *admin.QueueProperties) admin.CreateQueueResponse {
	t.Helper()
	made, err := c.CreateQueue(within(t), name, &admin.CreateQueueOptions{Properties: p})
	if err != nil {
		t.Fatalf("create %s: %v", name, err)
	}
	return made
}

func ptr[T any](v T) *T { return &v }

// properties are all that a queue can be made with.
func properties() admin.QueueProperties {
	return admin.QueueProperties{
		LockDuration: ptr("PT45S"), MaxSizeInMegabytes: ptr(int32(2048)), RequiresDuplicateDetection: ptr(true), RequiresSession: ptr(true),
		DefaultMessageTimeToLive: ptr("P14D"), DeadLetteringOnMessageExpiration: ptr(true),
		DuplicateDetectionHistoryTimeWindow: ptr("PT20M"), MaxDeliveryCount: ptr(int32(7)), EnableBatchedOperations: ptr(true),
		Status: ptr(admin.EntityStatusActive), AutoDeleteOnIdle: ptr("P10675199DT2H48M5.4775807S"), EnablePartitioning: ptr(false),
		UserMetadata: ptr("<made> & \"described\""), MaxMessageSizeInKilobytes: ptr(int64(512)),
	}
}

func TestAdminCreatesWhatItIsTold(t *testing.T) {
	c := administer(t, newServer(t, standard()))
	want := properties()
	made := create(t, c, "Made/by.REST-1", &want)
	if diff := cmp.Diff(want, made.QueueProperties); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	got, err := c.GetQueue(within(t), "made/BY.rest-1", nil)
	must(t, err)
	if diff := cmp.Diff(want, got.QueueProperties); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
}

// A queue made with nothing said has the service's defaults, one of a Config has what it was configured with.
func TestAdminDefaults(t *testing.T) {
	c := administer(t, newServer(t, plain(func(q *emulator.Queue) {
		q.LockDuration, q.DuplicateWindow, q.DefaultTTL = 90*time.Second, time.Hour, 36*time.Hour
	})))
	want := properties()
	want.LockDuration, want.MaxSizeInMegabytes, want.RequiresSession, want.RequiresDuplicateDetection = ptr("PT1M"), ptr(int32(1024)), ptr(false), ptr(false)
	want.DefaultMessageTimeToLive, want.DeadLetteringOnMessageExpiration = want.AutoDeleteOnIdle, ptr(false)
	want.DuplicateDetectionHistoryTimeWindow, want.MaxDeliveryCount, want.UserMetadata = ptr("PT10M"), ptr(int32(10)), nil
	want.MaxMessageSizeInKilobytes = ptr(int64(256))
	made := create(t, c, "made", nil)
	if diff := cmp.Diff(want, made.QueueProperties); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	want.LockDuration, want.RequiresDuplicateDetection = ptr("PT1M30S"), ptr(true)
	want.DuplicateDetectionHistoryTimeWindow, want.DefaultMessageTimeToLive = ptr("PT1H"), ptr("P1DT12H")
	got, err := c.GetQueue(within(t), plainQueue, nil)
	must(t, err)
	if diff := cmp.Diff(want, got.QueueProperties); diff != "" {
		t.Errorf("configured (-want +got):\n%s", diff)
	}
}

// What is created can be used over AMQP at once, and behaves as described.
func TestAdminCreatedQueueWorks(t *testing.T) {
	s := newServer(t, standard())
	a, c := administer(t, s), connect(t, s)
	create(t, a, "once", &admin.QueueProperties{MaxDeliveryCount: ptr(int32(1)), RequiresDuplicateDetection: ptr(true)})
	create(t, a, "by-session", &admin.QueueProperties{RequiresSession: ptr(true)})
	same := func(m *azservicebus.Message) { m.MessageID = ptr("same") }
	send(t, c, "once", "first", same)
	send(t, c, "ONCE", "again", same)
	r := newReceiver(t, c, "once", nil)
	must(t, r.AbandonMessage(within(t), receiveOne(t, r), nil))
	if m := receiveOne(t, deadLetters(t, c, "once")); *m.DeadLetterReason != "MaxDeliveryCountExceeded" {
		t.Errorf("dead-lettered for %s", *m.DeadLetterReason)
	}
	if n := counts(t, s, "once").Duplicates; n != 1 {
		t.Errorf("%d duplicates dropped", n)
	}
	send(t, c, "by-session", "hello", inSession("s"))
	held, err := c.AcceptNextSessionForQueue(within(t), "by-session", nil)
	must(t, err)
	if m := receiveOne(t, held); string(m.Body) != "hello" {
		t.Errorf("received %q", m.Body)
	}
}

func TestAdminRuntimeProperties(t *testing.T) {
	s := newServer(t, standard())
	a, c := administer(t, s), connect(t, s)
	before := time.Now().Add(-time.Second)
	create(t, a, "q", nil)
	for range 5 {
		send(t, c, "q", "0123456789")
	}
	sender := newSender(t, c, "q")
	_, err := sender.ScheduleMessages(within(t), []*azservicebus.Message{{Body: []byte("later")}}, time.Now().Add(time.Hour), nil)
	must(t, err)
	r := newReceiver(t, c, "q", nil)
	held := receive(t, r, 3)
	must(t, r.DeadLetterMessage(within(t), held[0], nil))
	must(t, r.DeferMessage(within(t), held[1], nil))
	got, err := a.GetQueueRuntimeProperties(within(t), "q", nil)
	must(t, err)
	p := got.QueueRuntimeProperties
	if p.CreatedAt.Before(before) || p.UpdatedAt.Before(p.CreatedAt) || !p.AccessedAt.IsZero() || p.SizeInBytes < 55 {
		t.Errorf("created %v, updated %v, accessed %v, %d bytes", p.CreatedAt, p.UpdatedAt, p.AccessedAt, p.SizeInBytes)
	}
	want := admin.QueueRuntimeProperties{
		TotalMessageCount: 6, ActiveMessageCount: 4, DeadLetterMessageCount: 1, ScheduledMessageCount: 1,
		SizeInBytes: p.SizeInBytes, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	if diff := cmp.Diff(want, p); diff != "" {
		t.Error(diff)
	}
}

func TestAdminUpdates(t *testing.T) {
	s := newServer(t, standard())
	a, c := administer(t, s), connect(t, s)
	p := create(t, a, "q", &admin.QueueProperties{MaxDeliveryCount: ptr(int32(9))}).QueueProperties
	send(t, c, "q", "kept")
	p.MaxDeliveryCount, p.LockDuration, p.DefaultMessageTimeToLive, p.UserMetadata = ptr(int32(1)), ptr("PT10S"), ptr("PT1H"), ptr("changed")
	updated, err := a.UpdateQueue(within(t), "q", p, nil)
	must(t, err)
	got, err := a.GetQueue(within(t), "q", nil)
	must(t, err)
	for what, q := range map[string]admin.QueueProperties{"answered": updated.QueueProperties, "read": got.QueueProperties} {
		if diff := cmp.Diff(p, q); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	r := newReceiver(t, c, "q", nil)
	m := receiveOne(t, r)
	if left := time.Until(*m.LockedUntil); left > 11*time.Second {
		t.Errorf("locked for %v", left)
	}
	must(t, r.AbandonMessage(within(t), m, nil))
	if n := counts(t, s, "q").DeadLettered; n != 1 {
		t.Errorf("%d dead-lettered under the new count", n)
	}
}

func TestAdminUpdateRefused(t *testing.T) {
	a := administer(t, newServer(t, standard()))
	p := create(t, a, "q", nil).QueueProperties
	_, err := a.UpdateQueue(within(t), "nowhere", p, nil)
	wantStatus(t, err, 404, "SubCode=40400")
	p.RequiresSession = ptr(true)
	_, err = a.UpdateQueue(within(t), "q", p, nil)
	wantStatus(t, err, 400, "The value for the RequiresSession property of an existing Queue cannot be changed")
	p.RequiresSession, p.RequiresDuplicateDetection = nil, ptr(true)
	_, err = a.UpdateQueue(within(t), "q", p, nil)
	wantStatus(t, err, 400, "The value for the RequiresDuplicateDetection property of an existing Queue cannot be changed")
}

func TestAdminConflict(t *testing.T) {
	a := administer(t, newServer(t, standard()))
	create(t, a, "q", nil)
	for _, name := range []string{"q", "Q", plainQueue} {
		_, err := a.CreateQueue(within(t), name, nil)
		wantStatus(t, err, 409, "SubCode=40900. Conflict. You're requesting an operation that isn't allowed in the resource's current state.")
	}
}

// For a queue that does not exist the client returns neither a queue nor an error.
func TestAdminNotFound(t *testing.T) {
	a := administer(t, newServer(t, standard()))
	for _, name := range []string{"nowhere", "requests/inner"} {
		if q, err := a.GetQueue(within(t), name, nil); q != nil || err != nil {
			t.Errorf("%s: %v %v", name, q, err)
		}
		if q, err := a.GetQueueRuntimeProperties(within(t), name, nil); q != nil || err != nil {
			t.Errorf("%s: %v %v", name, q, err)
		}
		_, err := a.DeleteQueue(within(t), name, nil)
		wantStatus(t, err, 404, "SubCode=40400")
	}
}

func TestAdminRefusesProperties(t *testing.T) {
	a := administer(t, newServer(t, standard()))
	for name, change := range map[string]func(*admin.QueueProperties){
		"LockDuration":                     func(p *admin.QueueProperties) { p.LockDuration = ptr("PT5M0.1S") },
		"LockDuration is out of range":     func(p *admin.QueueProperties) { p.LockDuration = ptr("PT4S") },
		"LockDuration: not an XML":         func(p *admin.QueueProperties) { p.LockDuration = ptr("1 minute") },
		"DefaultMessageTimeToLive":         func(p *admin.QueueProperties) { p.DefaultMessageTimeToLive = ptr("PT0.9S") },
		"DuplicateDetectionHistory":        func(p *admin.QueueProperties) { p.DuplicateDetectionHistoryTimeWindow = ptr("P8D") },
		"DuplicateDetectionHistoryTime":    func(p *admin.QueueProperties) { p.DuplicateDetectionHistoryTimeWindow = ptr("PT19S") },
		"MaxDeliveryCount":                 func(p *admin.QueueProperties) { p.MaxDeliveryCount = ptr(int32(0)) },
		"MaxDeliveryCount is out of range": func(p *admin.QueueProperties) { p.MaxDeliveryCount = ptr(int32(2001)) },
		"MaxSizeInMegabytes":               func(p *admin.QueueProperties) { p.MaxSizeInMegabytes = ptr(int32(0)) },
		"MaxMessageSizeInKilobytes":        func(p *admin.QueueProperties) { p.MaxMessageSizeInKilobytes = ptr(int64(1025)) },
		"UserMetadata":                     func(p *admin.QueueProperties) { p.UserMetadata = ptr(strings.Repeat("x", 1025)) },
		"Status":                           func(p *admin.QueueProperties) { p.Status = ptr(admin.EntityStatus("Asleep")) },
		"ForwardTo":                        func(p *admin.QueueProperties) { p.ForwardTo = ptr("https://example.com/requests") },
		"ForwardDeadLetteredMessagesTo":    func(p *admin.QueueProperties) { p.ForwardDeadLetteredMessagesTo = ptr("https://example.com/requests") },
		"EnablePartitioning":               func(p *admin.QueueProperties) { p.EnablePartitioning = ptr(true) },
		"AutoDeleteOnIdle":                 func(p *admin.QueueProperties) { p.AutoDeleteOnIdle = ptr("PT5M") },
		"AuthorizationRules":               func(p *admin.QueueProperties) { p.AuthorizationRules = []admin.AuthorizationRule{{KeyName: ptr("k")}} },
	} {
		p := properties()
		change(&p)
		_, err := a.CreateQueue(within(t), "q", &admin.CreateQueueOptions{Properties: &p})
		wantStatus(t, err, 400, name)
	}
	for _, name := range []string{"a_", "/a//b", "-a", "a.", "ä", "a b", "a:b", strings.Repeat("a", 261)} {
		_, err := a.CreateQueue(within(t), name, nil)
		wantStatus(t, err, 400, "is not a queue name")
	}
	if q, err := a.GetQueue(within(t), "q", nil); q != nil || err != nil {
		t.Errorf("a refused queue is there: %v, %v", q, err)
	}
	create(t, a, strings.Repeat("a", 260), nil)
}

func TestAdminListsInPages(t *testing.T) {
	a := administer(t, newServer(t, emulator.Config{Keys: []emulator.AccessKey{namespaceKey()}}))
	for _, name := range []string{"d", "B", "a", "e", "c"} {
		create(t, a, name, nil)
	}
	pager := a.NewListQueuesPager(&admin.ListQueuesOptions{MaxPageSize: 2})
	var pages [][]string
	for pager.More() {
		page, err := pager.NextPage(within(t))
		must(t, err)
		var names []string
		for _, q := range page.Queues {
			names = append(names, q.QueueName)
		}
		pages = append(pages, names)
	}
	if diff := cmp.Diff([][]string{{"a", "B"}, {"c", "d"}, {"e"}}, pages); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	all, err := a.NewListQueuesRuntimePropertiesPager(nil).NextPage(within(t))
	must(t, err)
	if len(all.QueueRuntimeProperties) != 5 {
		t.Errorf("%d queues in one page", len(all.QueueRuntimeProperties))
	}
}

func TestAdminNamespaceProperties(t *testing.T) {
	p, err := administer(t, newServer(t, standard())).GetNamespaceProperties(within(t), nil)
	must(t, err)
	if p.Name != "example" || p.SKU != "Premium" || time.Since(p.CreatedTime) > time.Minute {
		t.Errorf("%+v", p)
	}
}

// Deleting detaches the links of the queue, and only those; a queue made anew under the name is another one.
func TestAdminDeleteDetaches(t *testing.T) {
	s := newServer(t, standard())
	a, c := administer(t, s), connect(t, s)
	create(t, a, "q", nil)
	send(t, c, "q", "lost")
	sender, other := newSender(t, c, "q"), newReceiver(t, c, plainQueue, nil)
	must(t, sender.SendMessage(within(t), &azservicebus.Message{}, nil))
	waiting := make(chan error, 1)
	r := newReceiver(t, c, "q", nil)
	receive(t, r, 2)
	go func() {
		_, err := r.ReceiveMessages(within(t), 1, nil)
		for err == nil { // the client hides one lost link
			_, err = r.ReceiveMessages(within(t), 1, nil)
		}
		waiting <- err
	}()
	_, err := a.DeleteQueue(within(t), "q", nil)
	must(t, err)
	if err := <-waiting; !strings.Contains(err.Error(), "not-found") && !isCode(err, azservicebus.CodeNotFound) {
		t.Errorf("the receiver got %v", err)
	}
	if err := sender.SendMessage(within(t), &azservicebus.Message{}, nil); err == nil {
		t.Error("sent to a deleted queue")
	}
	if _, err := s.Counts("q"); !errors.Is(err, emulator.ErrNoQueue) {
		t.Errorf("Counts: %v", err)
	}
	send(t, c, plainQueue, "undisturbed")
	receiveOne(t, other)
	create(t, a, "q", nil)
	send(t, c, "q", "new")
	if m := receiveOne(t, newReceiver(t, c, "q", nil)); string(m.Body) != "new" {
		t.Errorf("received %q from the new queue", m.Body)
	}
}

func isCode(err error, code azservicebus.Code) bool {
	var sb *azservicebus.Error
	return errors.As(err, &sb) && sb.Code == code
}

// A status forbids what it names, also to links that are there already, and allows it again when it is lifted.
func TestAdminStatus(t *testing.T) {
	for status, allows := range map[admin.EntityStatus]struct{ send, receive bool }{
		admin.EntityStatusDisabled:        {},
		admin.EntityStatusSendDisabled:    {receive: true},
		admin.EntityStatusReceiveDisabled: {send: true},
		admin.EntityStatusActive:          {send: true, receive: true},
	} {
		t.Run(string(status), func(t *testing.T) {
			s := newServer(t, standard())
			a, c := administer(t, s), connect(t, s)
			p := create(t, a, "q", nil).QueueProperties
			sender, r := newSender(t, c, "q"), newReceiver(t, c, "q", nil)
			for range 2 {
				must(t, sender.SendMessage(within(t), &azservicebus.Message{}, nil))
			}
			receive(t, r, 1)
			p.Status = &status
			_, err := a.UpdateQueue(within(t), "q", p, nil)
			must(t, err)
			for what, sender := range map[string]*azservicebus.Sender{"an old": sender, "a new": newSender(t, c, "q")} {
				if err := sender.SendMessage(within(t), &azservicebus.Message{}, nil); (err == nil) != allows.send {
					t.Errorf("%s sender: %v", what, err)
				}
			}
			_, err = newReceiver(t, c, "q", nil).ReceiveMessages(within(t), 1, nil)
			if (err == nil) != allows.receive || err != nil && !strings.Contains(err.Error(), "entity-disabled") {
				t.Errorf("a new receiver: %v", err)
			}
			p.Status = ptr(admin.EntityStatusActive)
			_, err = a.UpdateQueue(within(t), "q", p, nil)
			must(t, err)
			send(t, c, "q", "again")
		})
	}
}

func TestAdminAccess(t *testing.T) {
	key := func(name string, rights emulator.Rights) emulator.AccessKey {
		return emulator.AccessKey{Name: name, Key: secret.NewString(name + "-key"), Rights: rights}
	}
	cfg := plain(func(q *emulator.Queue) {
		q.Keys = []emulator.AccessKey{key("owner", emulator.Manage), key("user", emulator.Send|emulator.Listen)}
	})
	cfg.Keys = append(cfg.Keys, key("worker", emulator.Send|emulator.Listen))
	s := newServer(t, cfg)
	for _, name := range []string{"worker", "user"} {
		a := administerAs(t, s, name, name+"-key")
		_, err := a.GetQueue(within(t), plainQueue, nil)
		wantStatus(t, err, 401, "Manage,EntityRead claims required for this operation")
		_, err = a.UpdateQueue(within(t), plainQueue, admin.QueueProperties{}, nil)
		wantStatus(t, err, 401, "Authorization failed for specified action: Manage,EntityWrite")
		_, err = a.DeleteQueue(within(t), plainQueue, nil)
		wantStatus(t, err, 401, "Authorization failed for specified action: Manage,EntityDelete.")
	}
	worker := administerAs(t, s, "worker", "worker-key")
	if q, err := worker.GetQueue(within(t), "nowhere", nil); q != nil || err != nil {
		t.Errorf("a queue that is not there, without the right: %v %v", q, err)
	}
	_, err := worker.NewListQueuesPager(nil).NextPage(within(t))
	wantStatus(t, err, 401, "Manage,EntityRead claims required for this operation")
	_, err = worker.GetNamespaceProperties(within(t), nil)
	wantStatus(t, err, 401, "Manage,EntityRead")
	_, err = administerAs(t, s, "root", "guess").GetQueue(within(t), plainQueue, nil)
	wantStatus(t, err, 401, "InvalidSignature")

	owner := administerAs(t, s, "owner", "owner-key")
	q, err := owner.GetQueue(within(t), plainQueue, nil)
	must(t, err)
	_, err = owner.UpdateQueue(within(t), plainQueue, q.QueueProperties, nil)
	must(t, err)
	_, err = owner.GetQueue(within(t), sessionQueue, nil)
	wantStatus(t, err, 401, "InvalidSignature") // no such key there
	_, err = owner.NewListQueuesPager(nil).NextPage(within(t))
	wantStatus(t, err, 401, "InvalidSignature")
	c := connectWith(t, s, s.QueueConnectionString("emulator.test", plainQueue, "user"))
	send(t, c, plainQueue, "the keys of a queue outlive a change of it")
}
