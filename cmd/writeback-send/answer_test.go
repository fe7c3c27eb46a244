package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

func TestTheExitCodeFollowsFromTheVerdict(t *testing.T) {
	for verdict, want := range map[requester.Verdict]int{
		requester.Written: exitDone, requester.OK: exitDone, requester.NotWritten: exitRefused, requester.Unknown: exitUnknown, "": exitUnknown,
	} {
		got, _ := newAnswer(requester.Result{Outcome: requester.Outcome{Verdict: verdict}}, nil, 0)
		if got.exit != want {
			t.Errorf("%q: exit %d, want %d", verdict, got.exit, want)
		}
	}
	for kind, want := range map[error]int{requester.ErrNoAnswer: exitUnknown, requester.ErrNotConfirmed: exitTransport} {
		got, isAnswer := newAnswer(requester.Result{}, fmt.Errorf("wrapped: %w", &requester.ExchangeError{RequestID: "r", Kind: kind}), 0)
		if !isAnswer || got.exit != want || got.Verdict != requester.Unknown || got.Request != "r" {
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
			Detail: requester.Detail{MinLength: 8, MaxLength: 256, HistoryLength: 24, RetryAfter: &after, Possible: []string{"a", "b"}, Hint: "h"},
		},
	}, nil, 41*time.Millisecond)
	var out bytes.Buffer
	if err := a.print(&out, false); err != nil {
		t.Fatal(err)
	}
	info := requester.Lookup(writeback.PasswordTooRecent)
	want := strings.Join([]string{
		"not written: password.too_recent (agent corp/a1, request r, 41 ms, answered from memory)",
		"  person: " + info.Person,
		"  detail: at least 8 characters", "  detail: at most 256 characters", "  detail: not one of the last 24 passwords",
		"  detail: possible again after 2026-05-01 12:30:00", "  detail: possibly a or b", "  detail: h",
		"  remedy: " + info.Remedy, "",
	}, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestACauseStaysOnOneLine(t *testing.T) {
	cause := errors.Join(context.DeadlineExceeded, errors.New("first\tline\nsecond"))
	a, _ := newAnswer(requester.Result{}, &requester.ExchangeError{RequestID: "r", Kind: requester.ErrNoAnswer, Cause: cause}, 0)
	if want := "unknown: no answer: context deadline exceeded; first line; second (request r, 0 ms)"; a.headline() != want {
		t.Errorf("%q, want %q", a.headline(), want)
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
