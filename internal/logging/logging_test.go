package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// moment is 07:08:09.123456789 in a zone two hours ahead of UTC.
func moment() time.Time {
	return time.Date(2030, 1, 2, 7, 8, 9, 123456789, time.FixedZone("", 2*60*60))
}

// logger returns a logger and what it wrote.
func logger(t *testing.T, format string) (logrus.FieldLogger, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	log, err := logging.New(&out, logging.Options{Level: "info", Format: format})
	if err != nil {
		t.Fatal(err)
	}
	return log.(*logrus.Logger).WithTime(moment()), &out
}

func TestText(t *testing.T) {
	log, out := logger(t, "text")
	log.WithFields(logrus.Fields{"zone": "b", "count": 3, "after": 1500 * time.Millisecond, "at": moment(), "list": []string{"x", "y"}}).Warn("two words")
	want := `time="2030-01-02T05:08:09.123Z" level=warning msg="two words" after=1.5s at="2030-01-02T05:08:09.123Z" count=3 list="x y" zone=b` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestJSON(t *testing.T) {
	log, out := logger(t, "json")
	log.WithFields(logrus.Fields{"filter": "(&(a=b)<c>)", "count": 3, "ok": true, "none": nil, "bytes": []byte("raw")}).Info("hello")
	want := `{"bytes":"raw","count":3,"filter":"(&(a=b)<c>)","level":"info","msg":"hello","none":null,"ok":true,"time":"2030-01-02T05:08:09.123Z"}` + "\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

func TestNothingBreaksTheLine(t *testing.T) {
	const hostile = "a\nlevel=info msg=forged\r\x1b[31m\x00\x7f\u009b\u202e\u2028\u2029\u200b\xff"
	for _, format := range []string{"text", "json"} {
		log, out := logger(t, format)
		log.WithFields(logrus.Fields{"key\n=\" " + hostile: 1, "value": hostile, "error": errors.New(hostile), "any": struct{ s string }{hostile}}).Error(hostile)
		line := strings.TrimSuffix(out.String(), "\n")
		if bad := strings.IndexFunc(line, func(r rune) bool {
			return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x200b && r <= 0x202e
		}); bad >= 0 {
			t.Errorf("%s: %q is in the line: %q", format, line[bad:bad+1], line)
		}
		if format == "json" {
			var decoded map[string]any
			if err := json.Unmarshal([]byte(line), &decoded); err != nil {
				t.Fatal(err)
			}
			if got, want := decoded["msg"], "a␊level=info msg=forged␍␛[31m␀␡������"; got != want {
				t.Errorf("msg = %q, want %q", got, want)
			}
		}
	}
}

func TestWhatTrailsIsCutOff(t *testing.T) {
	log, out := logger(t, "text")
	log.WithField("diagnostic", "0000052D: SvcErr\x00").Info("done\r\n")
	if got := out.String(); !strings.HasSuffix(got, " msg=done diagnostic=\"0000052D: SvcErr\"\n") {
		t.Errorf("line: %q", got)
	}
}

func TestLevels(t *testing.T) {
	for level, want := range map[string]string{"debug": "DIWE", "info": "IWE", "warn": "WE", "error": "E"} {
		var out bytes.Buffer
		log, err := logging.New(&out, logging.Options{Level: level, Format: "json"})
		if err != nil {
			t.Fatal(err)
		}
		log.Debug("D")
		log.Info("I")
		log.Warn("W")
		log.Error("E")
		var got strings.Builder
		for line := range strings.Lines(out.String()) {
			var entry struct{ Msg string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil {
				t.Fatal(err)
			}
			got.WriteString(entry.Msg)
		}
		if got.String() != want {
			t.Errorf("level %s shows %s, want %s", level, got.String(), want)
		}
	}
}

func TestUnknownOptions(t *testing.T) {
	for _, options := range []logging.Options{{"", "text"}, {"trace", "text"}, {"info", ""}, {"info", "xml"}} {
		if _, err := logging.New(&bytes.Buffer{}, options); err == nil {
			t.Errorf("%+v is accepted", options)
		}
	}
}

func TestFatalDoesNotEndTheProcess(t *testing.T) {
	log, out := logger(t, "text")
	log.Fatal("bad") //nolint:revive // what follows is reached: that is the test
	if !strings.Contains(out.String(), "level=fatal msg=bad") {
		t.Errorf("line: %q", out.String())
	}
}

func TestSecretsAreRedacted(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		log, out := logger(t, format)
		value := secret.NewString("needle")
		log.WithField("secret", value).WithField("holder", struct{ v secret.Value }{value}).Info("logged ", value)
		if got := out.String(); strings.Contains(got, "needle") || !strings.Contains(got, secret.Redacted) {
			t.Errorf("%s: %s", format, got)
		}
	}
}

func TestWithError(t *testing.T) {
	cause := errors.New("connection refused")
	cases := map[string]struct {
		err  error
		want map[string]any
	}{
		"nothing": {nil, map[string]any{}},
		"with its own hint": {
			fmt.Errorf("resolve: %w", &writeback.Error{Reason: writeback.DirectoryUnavailable, Hint: "Start dc1.", Cause: cause}),
			map[string]any{"reason": "directory.unavailable", "hint": "Start dc1.", "cause": "connection refused"},
		},
		"with the reason's hint": {
			writeback.NewError(writeback.UserDisabled, nil),
			map[string]any{"reason": "user.disabled", "hint": writeback.Lookup(writeback.UserDisabled).Remedy},
		},
		"of no reason": {
			fmt.Errorf("odd: %w", cause),
			map[string]any{"reason": "agent.internal", "hint": writeback.Lookup(writeback.AgentInternal).Remedy, "cause": "odd: connection refused"},
		},
	}
	for name, c := range cases {
		log, out := logger(t, "json")
		logging.WithError(log, c.err).Error("x")
		got := map[string]any{}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for _, standard := range []string{"level", "msg", "time"} {
			delete(got, standard)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
