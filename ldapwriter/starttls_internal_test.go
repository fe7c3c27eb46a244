package ldapwriter

import (
	"bytes"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/internal/writeback"
)

// The answer comes before TLS: whoever is on the way may have written it.
func TestAnswerToStartTLS(t *testing.T) {
	success := "\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"
	for name, c := range map[string]struct {
		answer string
		ok     bool
		reason writeback.Reason // of a refusal that is one
	}{
		"success":                   {success, true, ""},
		"success, long form":        {"\x30\x84\x00\x00\x00\x0c" + success[2:], true, ""},
		"refused":                   {"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00", false, writeback.DirectoryUnavailable},
		"of another request":        {"\x30\x0c\x02\x01\x02\x78\x07\x0a\x01\x00\x04\x00\x04\x00", false, ""},
		"of another kind":           {"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", false, ""},
		"no result":                 {"\x30\x05\x02\x01\x01\x78\x00", false, ""},
		"enormous":                  {"\x30\x84\x7f\xff\xff\xff\x02\x01\x01", false, ""},
		"longer than an answer is":  {"\x30\x82\x10\x01\x02\x01\x01\x78\x82\x0f\xfa\x0a\x01\x00\x04\x00\x04\x82\x0f\xf1" + strings.Repeat("x", 0xff1), false, ""},
		"no end":                    {"\x30\x80\x02\x01\x01", false, ""},
		"cut short":                 {success[:7], false, ""},
		"nothing":                   {"", false, ""},
		"not LDAP":                  {"HTTP/1.1 400 Bad Request\r\n\r\n", false, ""},
		"a length of eleven octets": {"\x30\x8b\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0c" + success[2:], false, ""},
	} {
		err := judgePlain([]byte(c.answer))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
		if c.reason != "" && writeback.ReasonOf(err) != c.reason {
			t.Errorf("%s: reason %s", name, writeback.ReasonOf(err))
		}
	}
}

func judgePlain(answer []byte) error {
	message, err := readPlain(bytes.NewReader(answer))
	if err != nil {
		return err
	}
	return startTLSAnswer(message, 1)
}

func FuzzAnswerToStartTLS(f *testing.F) {
	f.Add([]byte("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x16\x03\x03"))
	f.Add([]byte("\x30\x84\x00\x00\x00\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x34\x04\x00\x04\x00"))
	f.Add([]byte("\x30\x84\x7f\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		r := bytes.NewReader(answer)
		message, err := readPlain(r)
		if err != nil {
			return
		}
		if read := len(answer) - r.Len(); len(message) != read || len(message) > maxPlainAnswer+6 {
			t.Errorf("%d bytes read for a message of %d: what follows belongs to TLS", read, len(message))
		}
		_ = startTLSAnswer(message, 1)
	})
}
