package emulator_test

import (
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/emulator"
)

// guarded is a namespace with keys of every kind.
func guarded() emulator.Config {
	key := func(name string, r emulator.Rights) emulator.AccessKey {
		return emulator.AccessKey{Name: name, Key: secret.NewString("key of " + name), Rights: r}
	}
	cfg := standard()
	cfg.Keys = append(cfg.Keys, key("everyone-sends", emulator.Send))
	cfg.Queues[0].Keys = []emulator.AccessKey{key("sender", emulator.Send), key("listener", emulator.Listen)}
	return cfg
}

func TestRights(t *testing.T) {
	s := newServer(t, guarded())
	tests := []struct {
		key          string
		send, listen string // condition expected, "" for success
		keyOfQueue   string
	}{
		{key: "root", keyOfQueue: ""},
		{key: "everyone-sends", listen: "amqp:unauthorized-access"},
		{key: "sender", keyOfQueue: plainQueue, listen: "amqp:unauthorized-access"},
		{key: "listener", keyOfQueue: plainQueue, send: "amqp:unauthorized-access"},
	}
	for _, tt := range tests {
		t.Run(tt.key, func(t *testing.T) {
			c := connectWith(t, s, s.QueueConnectionString("emulator.test", tt.keyOfQueue, tt.key))
			err := newSender(t, c, plainQueue).SendMessage(within(t), &azservicebus.Message{Body: []byte("x")}, nil)
			wantOutcome(t, "send", err, tt.send)
			_, err = newReceiver(t, c, plainQueue, nil).PeekMessages(within(t), 1, nil)
			wantOutcome(t, "peek", err, tt.listen)
			send(t, connect(t, s), plainQueue, "for whoever may have it")
			_, err = newReceiver(t, c, plainQueue, nil).ReceiveMessages(within(t), 1, nil)
			wantOutcome(t, "receive", err, tt.listen)
		})
	}
}

func wantOutcome(t *testing.T, what string, err error, condition string) {
	t.Helper()
	if condition == "" {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		return
	}
	wantCode(t, err, azservicebus.CodeUnauthorizedAccess)
}

func TestKeyOfOneQueueOpensNoOther(t *testing.T) {
	s := newServer(t, guarded())
	c := connectWith(t, s, s.QueueConnectionString("emulator.test", plainQueue, "sender"))
	id := "s"
	err := newSender(t, c, sessionQueue).SendMessage(within(t), &azservicebus.Message{SessionID: &id}, nil)
	wantCode(t, err, azservicebus.CodeUnauthorizedAccess)
}

func TestWrongCredentials(t *testing.T) {
	s := newServer(t, guarded())
	const base = "Endpoint=sb://emulator.test;UseDevelopmentEmulator=true;"
	for name, cs := range map[string]string{
		"wrong key":     base + "SharedAccessKeyName=root;SharedAccessKey=guess",
		"unknown name":  base + "SharedAccessKeyName=nobody;SharedAccessKey=namespace-key",
		"expired token": base + "SharedAccessSignature=" + sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(-time.Second)),
		"other host":    base + "SharedAccessSignature=" + sign("sb://elsewhere.test/", "root", "namespace-key", time.Now().Add(time.Hour)),
		"other queue":   base + "SharedAccessSignature=" + sign("sb://emulator.test/"+sessionQueue, "root", "namespace-key", time.Now().Add(time.Hour)),
		"prefix only":   base + "SharedAccessSignature=" + sign("sb://emulator.test/request", "root", "namespace-key", time.Now().Add(time.Hour)),
		"no token":      base + "SharedAccessSignature=SharedAccessSignature nonsense",
	} {
		t.Run(name, func(t *testing.T) {
			err := newSender(t, connectWith(t, s, cs), plainQueue).SendMessage(within(t), &azservicebus.Message{}, nil)
			wantCode(t, err, azservicebus.CodeUnauthorizedAccess)
		})
	}
	if got := counts(t, s, plainQueue).Active; got != 0 {
		t.Errorf("%d messages got in", got)
	}
}

func TestReadyMadeTokenForTheNamespace(t *testing.T) {
	s := newServer(t, guarded())
	token := sign("sb://emulator.test/", "root", "namespace-key", time.Now().Add(time.Hour))
	c := connectWith(t, s, "Endpoint=sb://emulator.test;UseDevelopmentEmulator=true;SharedAccessSignature="+token)
	send(t, c, plainQueue, "x")
}

func TestUnknownQueue(t *testing.T) {
	s := newServer(t, standard())
	c := connect(t, s)
	err := newSender(t, c, "nowhere").SendMessage(within(t), &azservicebus.Message{}, nil)
	wantCode(t, err, azservicebus.CodeNotFound)
	_, err = newReceiver(t, c, "nowhere", nil).ReceiveMessages(within(t), 1, nil)
	wantCode(t, err, azservicebus.CodeNotFound)
}
