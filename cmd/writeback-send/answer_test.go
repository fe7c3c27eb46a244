package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

func TestTheExitCodeFollowsFromTheVerdictAndTheClass(t *testing.T) {
	for name, test := range map[string]struct {
		outcome requester.Outcome
		want    int
	}{
		"written":                   {requester.Outcome{Verdict: requester.Written, Reason: requester.ReasonOK}, exitDone},
		"ok":                        {requester.Outcome{Verdict: requester.OK, Reason: requester.ReasonOK}, exitDone},
		"unlocked":                  {requester.Outcome{Verdict: requester.Written, Reason: requester.AlreadyApplied}, exitDone},
		"envelope":                  {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.EnvelopeIDReused}, 10},
		"request":                   {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.RequestSuperseded}, 11},
		"auth":                      {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.AuthTooOld}, 12},
		"user":                      {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.UserDisabled}, 13},
		"policy":                    {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.PolicyOutOfScope}, 14},
		"password":                  {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.PasswordInHistory}, 15},
		"directory":                 {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.DirectoryUnavailable}, 16},
		"agent":                     {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.AgentInternal}, 17},
		"of a newer agent":          {requester.Outcome{Verdict: requester.NotWritten, Reason: "password.too_fancy"}, 17},
		"refused without a cause":   {requester.Outcome{Verdict: requester.NotWritten, Reason: requester.ReasonOK}, exitRefused},
		"expired, maybe written":    {requester.Outcome{Verdict: requester.Unknown, Reason: requester.RequestExpired}, exitUnknown},
		"a verdict nobody knows":    {requester.Outcome{Verdict: "perhaps", Reason: requester.ReasonOK}, exitUnknown},
		"unknown, of the directory": {requester.Outcome{Verdict: requester.Unknown, Reason: requester.DirectoryOutcomeUnknown}, exitUnknown},
	} {
		if got, _ := newAnswer(requester.Result{Outcome: test.outcome}, nil, 0); got.Exit != test.want {
			t.Errorf("%s: exit %d, want %d", name, got.Exit, test.want)
		}
	}
}

func TestEveryClassHasItsExitCodeInTheHelp(t *testing.T) {
	for _, info := range requester.Reasons() {
		code := exitOf(requester.NotWritten, info.Class)
		if info.Class == requester.ClassDone {
			continue
		}
		if row := fmt.Sprintf("  %d  %s ", code, info.Class); code < 10 || !strings.Contains(exitHelp(), row) {
			t.Errorf("the help lacks %q", row)
		}
	}
}

func TestWithoutAnAnswerTheOutcomeIsUnknown(t *testing.T) {
	for kind, want := range map[error]int{requester.ErrNoAnswer: exitUnknown, requester.ErrNotConfirmed: exitTransport} {
		got, isAnswer := newAnswer(requester.Result{}, fmt.Errorf("wrapped: %w", &requester.ExchangeError{RequestID: "r", Kind: kind}), 0)
		if !isAnswer || got.Exit != want || got.Verdict != requester.Unknown || got.Request != "r" {
			t.Errorf("%v: %+v", kind, got)
		}
	}
	if _, isAnswer := newAnswer(requester.Result{}, io.EOF, 0); isAnswer {
		t.Error("any error is an answer")
	}
}

func TestEveryDetailIsSpelledOut(t *testing.T) {
	after := time.Date(2026, 5, 1, 12, 30, 0, 0, time.Local)
	a, _ := newAnswer(requester.Result{
		Agent: "corp/a1", RequestID: "r",
		Outcome: requester.Outcome{
			Verdict: requester.NotWritten, Reason: writeback.PasswordTooRecent, Replayed: true,
			Detail: requester.Detail{MinLength: 8, MaxLength: 256, HistoryLength: 24, RetryAfter: &after, Possible: []string{"a", "b"}, Hint: "h", Warnings: []string{"w"}},
		},
	}, nil, 41*time.Millisecond)
	var out bytes.Buffer
	if err := a.print(&out, palette{}); err != nil {
		t.Fatal(err)
	}
	info := requester.Lookup(writeback.PasswordTooRecent)
	want := strings.Join([]string{
		"not written: password.too_recent (agent corp/a1, request r, 41 ms, answered from memory)",
		"  person: " + info.Person,
		"  detail: at least 8 characters", "  detail: at most 256 characters", "  detail: not one of the last 24 passwords",
		"  detail: possible again after 2026-05-01 12:30:00", "  detail: possibly a or b", "  detail: h",
		"  warning: w",
		"  remedy: " + info.Remedy, "",
	}, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestACauseStaysOnOneLine(t *testing.T) {
	cause := errors.Join(context.DeadlineExceeded, errors.New("first\tline\nsecond"))
	a, _ := newAnswer(requester.Result{}, &requester.ExchangeError{RequestID: "r", Kind: requester.ErrNoAnswer, Cause: cause}, 3*time.Second)
	if want := "unknown: no answer: none within 3s; first line; second (request r, 3000 ms)"; a.headline(palette{}) != want {
		t.Errorf("%q, want %q", a.headline(palette{}), want)
	}
}

// Silence has two causes with two remedies: nobody answered, or this side could not hear.
func TestTheRemedyOfSilenceFitsItsCause(t *testing.T) {
	for name, test := range map[string]struct {
		cause        error
		want, remedy string
	}{
		"nobody answered":                {errors.Join(context.DeadlineExceeded, nil), "none within 3s", "See whether the agent runs"},
		"interrupted":                    {context.Canceled, "interrupted", "See whether the agent runs"},
		"the results queue is not there": {errors.Join(context.DeadlineExceeded, errors.New("no such queue")), "none within 3s; no such queue", "Check the name of the results queue"},
	} {
		a, _ := newAnswer(requester.Result{}, &requester.ExchangeError{RequestID: "r", Kind: requester.ErrNoAnswer, Cause: test.cause}, 3*time.Second)
		if a.Cause != test.want || !strings.HasPrefix(a.Remedy, test.remedy) {
			t.Errorf("%s: %q, %q", name, a.Cause, a.Remedy)
		}
	}
}

func TestASecretLosesOneLineEndAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{
		"a": "a", "a\n": "a", "a\r\n": "a", "a\n\n": "a\n", " a ": " a ", "": "", "\n": "", "a\nb\n": "a\nb",
	} {
		got, err := readSecret(strings.NewReader(text))
		if err != nil || !got.Equal(secret.NewString(want)) {
			t.Errorf("%q: %d bytes, %v", text, got.Len(), err)
		}
	}
	if _, err := readSecret(strings.NewReader(strings.Repeat("a", maxSecretFile+1))); err == nil {
		t.Error("an endless secret was read")
	}
	if _, err := readSecret(io.MultiReader(strings.NewReader("a"), failing{})); err == nil {
		t.Error("half a secret was taken for one")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestTwoPasswordsThatDiffer(t *testing.T) {
	for name, typed := range map[string][]string{"differ": {"a", "b"}, "first fails": {}, "second fails": {"a"}} {
		_, err := askTwice(io.Discard, func() ([]byte, error) {
			if len(typed) == 0 {
				return nil, io.EOF
			}
			next := typed[0]
			typed = typed[1:]
			return []byte(next), nil
		})
		var usage usageError
		if !errors.As(err, &usage) || usage.hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestVerification(t *testing.T) {
	now := time.Unix(1_780_000_000, 0)
	for name, test := range map[string]struct {
		flags person
		want  requester.Verification
	}{
		"self":     {person{}, requester.Verification{Actor: requester.Actor{Kind: requester.ActorSelf}}},
		"operator": {person{operator: "op"}, requester.Verification{Actor: requester.Actor{Kind: requester.ActorAdmin, ID: "op"}}},
		"methods are of now": {person{methods: []string{"otp"}},
			requester.Verification{Actor: requester.Actor{Kind: requester.ActorSelf}, Methods: []string{"otp"}, AuthTime: now}},
		"verified before": {person{verified: "2026-01-31T12:00:00Z"},
			requester.Verification{Actor: requester.Actor{Kind: requester.ActorSelf}, AuthTime: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)}},
	} {
		got, err := test.flags.verification(now)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestTheDocumentationKnowsExitCodesAndMembers keeps docs/operations.md true: scripts are written by it.
func TestTheDocumentationKnowsExitCodesAndMembers(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"| 0 | done |", "| 1 | ", "| 2 | ", "| 3 | unknown", "| 4 | "}
	for _, row := range classExits() {
		want = append(want, fmt.Sprintf("| %d | refused, class `%s`: ", row.code, row.class))
	}
	members := reflect.TypeFor[answer]()
	for i := range members.NumField() {
		name, _, _ := strings.Cut(members.Field(i).Tag.Get("json"), ",")
		want = append(want, "\n| `"+name+"` | ")
	}
	for _, each := range want {
		if !strings.Contains(string(text), each) {
			t.Errorf("docs/operations.md lacks %q", each)
		}
	}
}
