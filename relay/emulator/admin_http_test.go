package emulator_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus/admin"

	"github.com/password-writeback/writeback/relay/emulator"
)

// ask sends a request as no client of ours would, signed for its address unless a token is given.
func ask(s *emulator.Server, method, path, body string, token ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "https://"+adminHost+path, strings.NewReader(body))
	if token == nil {
		token = []string{sign(r.URL.String(), "root", "namespace-key", time.Now().Add(time.Minute))}
	}
	if token[0] != "" {
		r.Header.Set("Authorization", token[0])
	}
	w := httptest.NewRecorder()
	s.ManagementHandler().ServeHTTP(w, r)
	return w
}

// wantAnswer checks the status of an answer and that its body has a part.
func wantAnswer(t testing.TB, what string, r *httptest.ResponseRecorder, status int, part string) {
	t.Helper()
	if r.Code != status || !strings.Contains(r.Body.String(), part) {
		t.Errorf("%s: %d %s, want %d and %q", what, r.Code, r.Body, status, part)
	}
}

func TestAdminOtherRequests(t *testing.T) {
	s := newServer(t, standard())
	for _, c := range []struct {
		method, path, body string
		status             int
		part               string
	}{
		{"GET", "/requests", "", 200, "<title type=\"text\">requests</title>"},
		{"GET", "/REQUESTS/?api-version=2017-04", "", 200, "<id>https://example.com/requests?api-version=2017-04</id>"},
		{"GET", "/nowhere", "", 200, "<title type=\"text\">Publicly Listed Services</title>"},
		{"GET", "/$Resources/Queues?$top=1", "", 200, "<title type=\"text\">Queues</title>"},
		{"GET", "/$Resources/Queues?$skip=7", "", 200, "</feed>"},
		{"GET", "/$Resources/Queues?$top=-1", "", 400, "$top"},
		{"GET", "/$Resources/Queues?$skip=x", "", 400, "$skip"},
		{"GET", "/$Resources/Topics", "", 501, "<Code>501</Code>"},
		{"PUT", "/$Resources/Queues", "", 501, "does not have this"},
		{"GET", "/requests/$DeadLetterQueue", "", 501, "does not have this"},
		{"GET", "/", "", 501, "does not have this"},
		{"POST", "/requests", "", 405, "<Code>405</Code>"},
		{"PATCH", "/requests", "", 405, "<Code>405</Code>"},
		{"PUT", "/new", "<entry/>", 400, "QueueDescription"},
		{"PUT", "/new", "", 400, "QueueDescription"},
	} {
		wantAnswer(t, c.method+" "+c.path, ask(s, c.method, c.path, c.body), c.status, c.part)
	}
	if _, err := s.Counts("requests"); err != nil {
		t.Error(err)
	}
}

func TestAdminTokens(t *testing.T) {
	s := newServer(t, standard())
	soon, before := time.Now().Add(time.Minute), time.Now().Add(-time.Minute)
	const address = "https://" + adminHost
	for what, c := range map[string]struct {
		token  string
		status int
		part   string
	}{
		"none":                    {"", 401, "MissingToken"},
		"no token":                {"Basic cm9vdA==", 401, "MalformedToken"},
		"expired":                 {sign(address+"/requests", "root", "namespace-key", before), 401, "ExpiredToken"},
		"another key":             {sign(address+"/requests", "root", "other", soon), 401, "InvalidSignature"},
		"another queue":           {sign(address+"/results", "root", "namespace-key", soon), 401, "InvalidAudience"},
		"the start of a name":     {sign(address+"/req", "root", "namespace-key", soon), 401, "InvalidAudience"},
		"another namespace":       {sign("https://example.org/requests", "root", "namespace-key", soon), 401, "InvalidAudience"},
		"the queue":               {sign(address+"/requests", "root", "namespace-key", soon), 200, ""},
		"the namespace":           {sign("sb://"+adminHost, "root", "namespace-key", soon), 200, ""},
		"the queue, with a query": {sign(address+"/requests?api-version=1", "root", "namespace-key", soon), 200, ""},
	} {
		wantAnswer(t, what, ask(s, "GET", "/requests", "", c.token), c.status, c.part)
	}
}

// A refusal tells what support asks for, and repeats nothing that is not text.
func TestAdminRefusalIsTraceable(t *testing.T) {
	s := newServer(t, standard())
	r := ask(s, "DELETE", "/a%00%3Cb%3E", "")
	if got := r.Header().Get("Content-Type"); got != "application/xml; charset=utf-8" {
		t.Errorf("content type %q", got)
	}
	wantAnswer(t, "delete", r, 404, ", SystemTracker:example.com:a\uFFFD&lt;b&gt;, Timestamp:20")
	wantAnswer(t, "delete", ask(s, "DELETE", "/q", ""), 404, " TrackingId:")
}

func TestAdminAfterClose(t *testing.T) {
	s := newServer(t, standard())
	must(t, s.Close())
	body := `<entry xmlns="http://www.w3.org/2005/Atom"><content><QueueDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"/></content></entry>`
	wantAnswer(t, "create", ask(s, "PUT", "/q", body), 503, "closing")
	wantAnswer(t, "read", ask(s, "GET", "/requests", ""), 200, "requests")
}

// Pages are bounded even if nobody asks for it.
func TestAdminPagesAreBounded(t *testing.T) {
	cfg := emulator.Config{Keys: []emulator.AccessKey{namespaceKey()}}
	for i := range 130 {
		cfg.Queues = append(cfg.Queues, emulator.Queue{Name: "q" + strings.Repeat("x", i)})
	}
	a := administer(t, newServer(t, cfg))
	for _, size := range []int32{0, 1000} {
		pager, sizes := a.NewListQueuesPager(&admin.ListQueuesOptions{MaxPageSize: size}), []int{}
		for pager.More() && len(sizes) < 9 {
			page, err := pager.NextPage(within(t))
			must(t, err)
			sizes = append(sizes, len(page.Queues))
		}
		if sizes[0] != 100 {
			t.Errorf("asked for pages of %d, got %v", size, sizes)
		}
	}
}

// Changing a queue leaves the moment of its making, and moves that of its change.
func TestAdminTimes(t *testing.T) {
	cfg := standard()
	var later atomic.Int64
	cfg.Now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	a := administer(t, newServer(t, cfg))
	before := time.Now()
	made := create(t, a, "q", nil)
	after := time.Now()
	later.Store(int64(time.Minute))
	_, err := a.UpdateQueue(within(t), "q", made.QueueProperties, nil)
	must(t, err)
	got, err := a.GetQueueRuntimeProperties(within(t), "q", nil)
	must(t, err)
	const tick = 100 * time.Nanosecond // what the service cuts off
	if got.CreatedAt.Before(before.Add(-tick)) || got.CreatedAt.After(after) || got.UpdatedAt.Sub(got.CreatedAt) < time.Minute-tick {
		t.Errorf("created %v, changed %v", got.CreatedAt, got.UpdatedAt)
	}
}

// A client that waits for a session hears at once that there will be none.
func TestAdminDeleteEndsWaiting(t *testing.T) {
	cfg := standard()
	var attached atomic.Int32
	cfg.Fault = func(_ context.Context, e emulator.Event) emulator.Fault {
		if e.Op == emulator.OpAttach {
			attached.Add(1)
		}
		return emulator.Fault{}
	}
	s := newServer(t, cfg)
	a, c := administer(t, s), connect(t, s)
	waiting := make(chan error, 1)
	go func() {
		_, err := c.AcceptNextSessionForQueue(within(t), sessionQueue, nil)
		waiting <- err
	}()
	other, err := c.AcceptSessionForQueue(within(t), sessionQueue, "held", nil)
	must(t, err)
	for ctx := within(t); attached.Load() < 2; time.Sleep(time.Millisecond) {
		must(t, ctx.Err())
	}
	_, err = a.DeleteQueue(within(t), sessionQueue, nil)
	must(t, err)
	if err := <-waiting; err == nil {
		t.Error("accepted a session of a deleted queue")
	}
	if err := other.RenewSessionLock(within(t), nil); err == nil {
		t.Error("renewed a session of a deleted queue")
	}
}

// The management node of a queue in use obeys its status, operation by operation.
func TestAdminStatusOfOperations(t *testing.T) {
	s := newServer(t, standard())
	a, c := administer(t, s), connect(t, s)
	p := create(t, a, "q", nil).QueueProperties
	sender, r := newSender(t, c, "q"), newReceiver(t, c, "q", nil)
	msgs := []*azservicebus.Message{{Body: []byte("later")}}
	_, err := sender.ScheduleMessages(within(t), msgs, time.Now().Add(time.Hour), nil)
	must(t, err)
	p.Status = ptr(admin.EntityStatusSendDisabled)
	_, err = a.UpdateQueue(within(t), "q", p, nil)
	must(t, err)
	if _, err := sender.ScheduleMessages(within(t), msgs, time.Now().Add(time.Hour), nil); err == nil || !strings.Contains(err.Error(), "disabled") {
		t.Errorf("scheduled on a queue that takes nothing: %v", err)
	}
	if got, err := r.PeekMessages(within(t), 5, nil); err != nil || len(got) != 1 {
		t.Errorf("%d messages peeked, %v", len(got), err)
	}
}
