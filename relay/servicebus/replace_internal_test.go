package servicebus

import (
	"errors"
	"testing"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/secret"
)

// The emulator detaches no link on its own, so that a second empty return in a row can only be told from inside.
func TestEmptyReturnsEscalate(t *testing.T) {
	connection := secret.NewString("Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true")
	agent, err := DialAgent(t.Context(), AgentConfig{ConnectionString: connection, RequestsQueue: "q", Logger: logrus.New()})
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range []struct {
		cause       error
		goOn, fresh bool
	}{
		{cause: errLinkLost, goOn: true},
		{cause: errLinkLost, fresh: true},
		{cause: errLinkLost, fresh: true},
		{cause: errors.New("connection lost"), fresh: true},
	} {
		before, err := agent.requests.client()
		if err != nil {
			t.Fatal(err)
		}
		receiver, err := before.NewReceiverForQueue("q", nil)
		if err != nil {
			t.Fatal(err)
		}
		agent.inlet = &inlet{receiver: receiver, client: before}
		goOn := agent.replace(agent.inlet, row.cause)
		after, err := agent.requests.client()
		if err != nil {
			t.Fatal(err)
		}
		if goOn != row.goOn || (after != before) != row.fresh || agent.inlet != nil {
			t.Errorf("step %d: go on %v, new connection %v; want %v, %v and the receiver given up", i, goOn, after != before, row.goOn, row.fresh)
		}
	}
	if err := agent.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
