package e2e_test

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/emulator"
)

// fake is an agent in front of the fake directory.
type fake struct {
	*installation
	directory *lab.Directory
}

func installFake(t *testing.T, built programs, extra ...string) fake {
	t.Helper()
	directory, err := lab.OpenDirectory("")
	check(t, err)
	t.Cleanup(func() { check(t, directory.Close()) })
	return fake{directory: directory, installation: install(t, built, directory.Domain(), strings.Join(extra, ""))}
}

// wantReset resets a person and proves that the new password logs on.
func (f fake) wantReset(t *testing.T, login string) {
	t.Helper()
	password := newPassword("New-")
	wantWritten(t, f.reset(t, f.named(t, login), password))
	code, err := f.directory.Logon(t.Context(), login, password)
	check(t, err)
	if code != "" {
		t.Errorf("a logon of %s with the new password was answered with %q", login, code)
	}
}

func (f fake) named(t *testing.T, login string) writeback.Subject {
	t.Helper()
	user, err := f.directory.Subject(login, writeback.ByUPN)
	check(t, err)
	return user
}

// malformed is how many messages testHostile sends that are no request at all; samples is how many of them an agent keeps.
const (
	malformed = 14
	samples   = 10
)

// testHostile puts messages into the queue that anybody with the right Send could, past every library that makes requests.
func testHostile(t *testing.T, built programs) {
	f := installFake(t, built)
	send := rawSender(t, f.namespace)
	jwt := "application/jwt"
	for range malformed - 3 {
		send(&azservicebus.Message{Body: randomBytes(300), ContentType: &jwt})
	}
	send(&azservicebus.Message{ContentType: &jwt})
	send(&azservicebus.Message{Body: bytes.Repeat([]byte("a"), 100<<10), ContentType: &jwt})
	other := "text/html"
	send(&azservicebus.Message{Body: f.goodToken(t, "ben"), ContentType: &other})
	// The SDK's receiver panics on this one: it expects a string.
	send(&azservicebus.Message{Body: []byte("poison"), ContentType: &jwt, ApplicationProperties: map[string]any{"DeadLetterReason": int32(7)}})

	f.wantReset(t, "ada")
	f.until(t, func(s lab.Status) bool { return s.Discarded[writeback.EnvelopeMalformed] == malformed })
	// The agent counts a message before the queue has heard what becomes of it. The good request is the one more.
	f.untilCounted(t, func(c emulator.Counts) bool { return c.DeadLettered == samples && c.Completed == malformed-samples+1 })
	if writes := f.directory.Writes("ben"); writes != 0 {
		t.Errorf("a token of the wrong content type was written %d times", writes)
	}
}

func (f fake) goodToken(t *testing.T, login string) []byte {
	t.Helper()
	token, err := f.portal.Token(f.portal.Draft(f.named(t, login), newPassword("New-")))
	check(t, err)
	return token
}

// rawSender returns a function that sends any message, with the portal's own right to send.
func rawSender(t *testing.T, namespace *lab.Namespace) func(*azservicebus.Message) {
	t.Helper()
	client, err := azservicebus.NewClientFromConnectionString(string(namespace.PortalConnection().Reveal()), nil)
	check(t, err)
	t.Cleanup(func() { _ = client.Close(t.Context()) })
	sender, err := client.NewSender(lab.RequestsQueue, nil)
	check(t, err)
	return func(message *azservicebus.Message) {
		t.Helper()
		check(t, sender.SendMessage(t.Context(), message, nil))
	}
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}
