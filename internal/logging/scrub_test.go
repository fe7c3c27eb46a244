package logging_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/secret"
)

// password has something to escape for everybody.
const password = "Grüße <\"&\\'\t/+%=☃>𝄞"

// unicodePwd is how the password travels to a controller.
func unicodePwd(text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(`"` + text + `"`)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return out
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestScrubMasksEveryForm(t *testing.T) {
	var scrubber logging.Scrubber
	scrubber.Add(secret.NewString(password))
	wire := unicodePwd(password)
	for name, form := range map[string]string{
		"plain":             password,
		"%q":                fmt.Sprintf("%q", password),
		"%+q":               fmt.Sprintf("%+q", password),
		"%#v":               fmt.Sprintf("%#v", password),
		"JSON":              mustJSON(t, password),
		"%q in JSON":        mustJSON(t, fmt.Sprintf("%q", password)),
		"query":             url.QueryEscape(password),
		"path":              url.PathEscape(password),
		"hex":               fmt.Sprintf("%x", password),
		"HEX":               fmt.Sprintf("%X", password),
		"base64":            base64.StdEncoding.EncodeToString([]byte(password)),
		"base64url":         base64.URLEncoding.EncodeToString([]byte(password)),
		"UTF-16":            string(wire),
		"UTF-16 hex":        fmt.Sprintf("%x", wire),
		"UTF-16 base64":     base64.StdEncoding.EncodeToString(wire),
		"UTF-16 in JSON":    mustJSON(t, string(wire)),
		"UTF-16, unquoted":  string(wire[2 : len(wire)-2]),
		"twice in one line": password + " " + password,
	} {
		got := string(scrubber.Scrub([]byte("before " + form + " after")))
		rest := strings.Trim(strings.ReplaceAll(got, secret.Redacted, ""), `"= `)
		rest = strings.Trim(strings.TrimSuffix(strings.TrimPrefix(rest, "before"), "after"), "\"\\=` \x00")
		if !strings.Contains(got, secret.Redacted) || rest != "" {
			t.Errorf("%s: %q leaves %q", name, got, rest)
		}
	}
}

func TestScrubLeavesOtherTextAlone(t *testing.T) {
	var scrubber logging.Scrubber
	scrubber.Add(secret.NewString("needle"))
	scrubber.Add(secret.NewString("abc")) // too short to be masked without harm
	scrubber.Add(secret.Value{})
	for _, text := range []string{"", "nothing here", "need le", "abc", secret.Redacted} {
		if got := string(scrubber.Scrub([]byte(text))); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestTheLongerSecretIsMaskedWhole(t *testing.T) {
	var scrubber logging.Scrubber
	scrubber.Add(secret.NewString("middle"))
	scrubber.Add(secret.NewString("the middle one"))
	if got, want := string(scrubber.Scrub([]byte("the middle one, middle"))), "[redacted], [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestForget(t *testing.T) {
	var scrubber logging.Scrubber
	forget := scrubber.Add(secret.NewString("first"))
	scrubber.Add(secret.NewString("second"))
	forget()
	forget() // once more must not touch others
	if got, want := string(scrubber.Scrub([]byte("first second"))), "first [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestScrubDoesNotChangeItsInput(t *testing.T) {
	var scrubber logging.Scrubber
	scrubber.Add(secret.NewString("needle"))
	input := []byte("a needle here")
	scrubber.Scrub(input)
	if string(input) != "a needle here" {
		t.Errorf("the input became %q", input)
	}
}

func TestTheLogIsScrubbed(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		var out bytes.Buffer
		var scrubber logging.Scrubber
		scrubber.Add(secret.NewString(password))
		log, err := logging.New(scrubber.Writer(&out), logging.Options{Level: "info", Format: format})
		if err != nil {
			t.Fatal(err)
		}
		log.WithFields(logrus.Fields{"plain": password, "error": fmt.Errorf("refused %q", password), "wire": unicodePwd(password)}).Info("set " + password)
		line := out.String()
		if got := strings.Count(line, secret.Redacted); got != 4 {
			t.Errorf("%s: masked %d times: %s", format, got, line)
		}
		for _, part := range []string{"Grü", "☃", "snow", `\u2603`} {
			if strings.Contains(line, part) {
				t.Errorf("%s: %q is left: %s", format, part, line)
			}
		}
		if format == "json" && !json.Valid(bytes.TrimSpace(out.Bytes())) {
			t.Errorf("no longer JSON: %s", line)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriterReportsLikeTheOneBehindIt(t *testing.T) {
	var scrubber logging.Scrubber
	scrubber.Add(secret.NewString("n"))
	if n, err := scrubber.Writer(io.Discard).Write([]byte("four")); n != 4 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	if _, err := scrubber.Writer(failing{}).Write([]byte("x")); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error %v", err)
	}
}

func FuzzScrub(f *testing.F) {
	f.Add(password)
	f.Add("a\x00b\ncd")
	f.Add("\xff\xfe\xfd\xfc")
	f.Fuzz(func(t *testing.T, plain string) {
		if len(plain) < 4 || strings.Contains(secret.Redacted, plain) {
			t.Skip()
		}
		var scrubber logging.Scrubber
		scrubber.Add(secret.NewString(plain))
		if got := scrubber.Scrub([]byte("x " + plain)); bytes.Contains(got, []byte(plain)) && !strings.Contains("x "+secret.Redacted, plain) {
			t.Errorf("%q is left in %q", plain, got)
		}
	})
}
