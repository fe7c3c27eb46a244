package ldapwriter_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
)

// flood repeats text after a beginning. It gives up in the end, so that a test fails and does not fill the machine.
type flood struct {
	begin io.Reader
	text  string
	sent  atomic.Int64
}

const (
	floodEnds = 256 << 20
	tolerable = 16 << 20 // the buffers between the two included
)

func (f *flood) Read(b []byte) (int, error) {
	if n, _ := f.begin.Read(b); n > 0 {
		return n, nil
	}
	if f.sent.Load() > floodEnds {
		return 0, io.EOF
	}
	n := copy(b, strings.Repeat(f.text, max(1, len(b)/len(f.text))))
	f.sent.Add(int64(n))
	return n, nil
}

// message is an LDAPMessage around the bytes of an operation.
func message(id int64, op string) string {
	body := "\x02\x01" + string(rune(id)) + op
	return "\x30" + string(rune(len(body))) + body
}

// An answer without an end, or with a length beyond reason, costs no more than an answer may take.
func TestHugeAnswers(t *testing.T) {
	entry := "\x64\x2a\x04\x04CN=a\x30\x22\x30\x20\x04\x02cn\x31\x1a\x04\x18" + strings.Repeat("a", 24)
	for name, raw := range map[string]func(id int64) (begin, text string){
		"one of two gibibytes": func(id int64) (string, string) {
			return "\x30\x84\x7f\xff\xff\xff\x02\x01" + string(rune(id)) + "\x64\x84\x7f\xff\xff\xf0\x04\x84\x7f\xff\xff\xe0", strings.Repeat("a", 4096)
		},
		"without a length": func(id int64) (string, string) {
			return "\x30\x80\x02\x01" + string(rune(id)) + "\x64\x80", "\x04\x01a"
		},
		"entries and entries": func(id int64) (string, string) { return "", message(id, entry) },
		"nested":              func(int64) (string, string) { return "", "\x30\x80" },
	} {
		t.Run(name, func(t *testing.T) {
			fake := startFake(t)
			d := fake.directory(t)
			account := person(t, d, "alice")
			for _, on := range []adtest.Operation{adtest.OnSearch, adtest.OnModify, adtest.OnBind} {
				var sent flood
				remove := fake.fake.Inject(adtest.Fault{On: on, Effect: adtest.Say, Raw: func(id int64) io.Reader {
					begin, text := raw(id)
					sent.begin, sent.text = strings.NewReader(begin), text
					return &sent
				}, Times: 1})
				switch on {
				case adtest.OnModify:
					wantReason(t, d.Write(deadline(t), account, reset(newPassword)), writeback.DirectoryOutcomeUnknown)
				case adtest.OnBind:
					fake.fake.Disconnect()
					_ = resolveAlice(t, d)
				default:
					_ = resolveAlice(t, d)
				}
				remove()
				if got := sent.sent.Load(); got > tolerable {
					t.Errorf("%s: %d bytes of an answer were taken", on, got)
				}
				person(t, d, "alice")
			}
		})
	}
}

// What is no answer to the Modify leaves open whether it took effect. It costs the connection, since nobody knows what comes next on it, and no place among them.
func TestAnswersThatAreNone(t *testing.T) {
	fake := startFake(t)
	d := fake.directory(t, func(c *ldapwriter.DomainConfig) { c.Connections = 1 })
	for i, body := range []string{
		"", "\x67\x00", "\x67\x03\x0a\x01\x00", "\x05\x00", "\x65\x07\x0a\x01\x00\x04\x00\x04\x00", "\x47\x00", "\x67\x07\x04\x01\x00\x04\x00\x04\x00",
		"\x67\x07\x0a\x01\x35\x30\x00\x30\x00", "\x67\x08\x0a\x02\x00\xc8\x04\x00\x04\x00",
	} {
		account := person(t, d, "alice")
		connections := fake.fake.Connections()
		remove := fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Say, Times: 1, Raw: func(id int64) io.Reader {
			return bytes.NewReader([]byte(message(id, body)))
		}})
		err := d.Write(deadline(t), account, reset(fmt.Sprintf("%s %d", newPassword, i)))
		remove()
		if got := writeback.ReasonOf(err); got != writeback.DirectoryOutcomeUnknown {
			t.Errorf("%x: %v", body, err)
		}
		person(t, d, "alice")
		if got := fake.fake.Connections() - connections; got != 1 {
			t.Errorf("%x: %d new connections, want 1", body, got)
		}
	}
}

// The bound is one operation's: a connection may carry any number of them.
func TestManyAnswersAreNotTooMuch(t *testing.T) {
	fake := startFake(t, func(o *adtest.Options) { o.Domain.Users[0].Name = strings.Repeat("n", 6<<10) })
	d := fake.directory(t)
	login := adtest.Corp().Users[0].Login
	account := person(t, d, login)
	for range 120 { // each reads the display name, to explain the refusal
		fake.fake.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Answer, Code: 53, Diagnostic: "0000052D: SvcErr", Times: 1})
		wantReason(t, d.Write(deadline(t), account, reset(newPassword)), writeback.PasswordRefused)
	}
	if got := fake.fake.Connections(); got != 1 {
		t.Errorf("%d connections, want 1", got)
	}
}
