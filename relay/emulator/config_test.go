package emulator_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
	"github.com/password-writeback/writeback/relay/emulator/internal/amqp"
)

func TestConfigFaultsAreReportedTogether(t *testing.T) {
	key := secret.NewString("k")
	_, err := emulator.New(emulator.Config{
		Queues: []emulator.Queue{
			{Name: "good"}, {Name: "GOOD"}, {Name: ""}, {Name: "a/$management"}, {Name: "/slash"},
			{Name: "b", LockDuration: -time.Second}, {Name: "c", MaxMessageSize: 2 << 20},
			{Name: "d", Keys: []emulator.AccessKey{{Name: "x", Rights: emulator.Send}}},
		},
		Keys: []emulator.AccessKey{{Name: "n", Key: key}},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"queue 1", "queue 2", "queue 3", "queue 4", "queue 5", "queue 6", "queue 7", `"n"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "queue 0") {
		t.Errorf("the good queue is blamed:\n%v", err)
	}
}

func TestCountsOfAQueueThatDoesNotExist(t *testing.T) {
	if _, err := newServer(t, standard()).Counts("nowhere"); !errors.Is(err, emulator.ErrNoQueue) {
		t.Errorf("got %v", err)
	}
}

func TestConnectionString(t *testing.T) {
	s := newServer(t, guarded())
	want := "Endpoint=sb://h:1;SharedAccessKeyName=sender;SharedAccessKey=key of sender;UseDevelopmentEmulator=true"
	if got := s.QueueConnectionString("h:1", strings.ToUpper(plainQueue), "sender"); got != want {
		t.Errorf("got %s", got)
	}
	if got := s.ConnectionString("h:1", "sender"); got != "" {
		t.Errorf("a queue's key passes for one of the namespace: %s", got)
	}
}

func TestTokensThatAreRefused(t *testing.T) {
	put := func(kind, name string) amqp.Map {
		return amqp.Map{{Key: "operation", Value: "put-token"}, {Key: "type", Value: kind}, {Key: "name", Value: name}}
	}
	const sas, audience = "servicebus.windows.net:sastoken", "amqp://emulator.test/" + plainQueue
	good := sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour))
	for name, tt := range map[string]struct {
		props  amqp.Map
		body   any
		status int32
	}{
		"good":              {put(sas, audience), good, 202},
		"management node":   {put(sas, audience+"/$management"), good, 202},
		"dead-letter queue": {put(sas, audience+"/$DeadLetterQueue"), good, 202},
		"unknown queue":     {put(sas, "amqp://emulator.test/nowhere"), good, 404},
		"unknown kind":      {put("jwt", audience), good, 401},
		"no audience":       {put(sas, ""), good, 400},
		"token is bytes":    {put(sas, audience), []byte(good), 400},
		"other operation":   {amqp.Map{{Key: "operation", Value: "delete-token"}}, good, 501},
		"no properties":     {nil, good, 501},
	} {
		t.Run(name, func(t *testing.T) {
			p := opened(t, newServer(t, standard()))
			if status, _ := p.request("$cbs", tt.props, tt.body); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
}

func TestListingSessions(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	for _, id := range []string{"b", "a", "c"} {
		send(t, c, sessionQueue, "x", inSession(id))
	}
	p := authorised(t, s)
	status, reply := p.request(sessionQueue+"/$management", amqp.Map{{Key: "operation", Value: "com.microsoft:get-message-sessions"}}, amqp.Map{
		{Key: "last-updated-time", Value: amqp.Timestamp(253402300800000)}, {Key: "skip", Value: int32(1)}, {Key: "top", Value: int32(5)},
	})
	ids, _ := amqp.Lookup[amqp.Array](reply.(amqp.Map), "sessions-ids")
	if status != 200 || len(ids.Items) != 2 || ids.Items[0] != "b" || ids.Items[1] != "c" {
		t.Errorf("status %d, %v", status, reply)
	}
}
