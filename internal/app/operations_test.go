package app_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/requester"
)

// wide lets a user's old password be guessed twice.
func wide(t *testing.T, in *installation) {
	t.Helper()
	in.edit(t, "config.yaml", "  controller_search: 500ms\n", "  controller_search: 500ms\n  user_budget: {failures: 2, per: 1h}\n")
}

// told is what the portal hears of one request.
func told(t *testing.T, ask func(context.Context) (requester.Result, error)) writeback.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	result, err := ask(ctx)
	check(t, err)
	return result.Outcome
}

func (in *installation) change(t *testing.T, portal *lab.Portal, login string, before, after secret.Value) writeback.Outcome {
	t.Helper()
	return told(t, func(ctx context.Context) (requester.Result, error) {
		return portal.Change(ctx, requester.ChangeRequest{User: in.user(t, login), OldPassword: before, Password: after, By: lab.Verified()})
	})
}

func TestAChangeTravelsThroughTheAgentAndCannotBeGuessed(t *testing.T) {
	t.Parallel()
	in := install(t)
	wide(t, in)
	in.start(t).ready(t)
	portal, after := in.portal(t), newPassword()
	for range 2 {
		wantOutcome(t, in.change(t, portal, "ben", newPassword(), newPassword()), writeback.NotWritten, writeback.PasswordOldIncorrect)
	}
	refused := in.change(t, portal, "ben", in.directory.First("ben"), after) // the right one
	wantOutcome(t, refused, writeback.NotWritten, writeback.PolicyRateLimited)
	if refused.Detail.RetryAfter == nil || time.Until(*refused.Detail.RetryAfter) > time.Hour {
		t.Errorf("detail: %+v", refused.Detail)
	}
	if n := in.directory.Writes("ben"); n != 0 {
		t.Errorf("%d writes for ben", n)
	}
	wantOutcome(t, in.change(t, portal, "ada", in.directory.First("ada"), after), writeback.Written, writeback.ReasonOK)
	if code, err := in.directory.Logon(t.Context(), "ada", after); code != "" || err != nil {
		t.Errorf("logon with the new password: %q, %v", code, err)
	}
}

func TestACheckTellsWhatAResetWouldMeetAndWritesNothing(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.start(t).ready(t)
	portal := in.portal(t)
	ask := func(user writeback.Subject) writeback.Outcome {
		return told(t, func(ctx context.Context) (requester.Result, error) {
			return portal.Check(ctx, requester.CheckRequest{User: user, By: lab.Verified()})
		})
	}
	outcome := ask(in.user(t, "ada"))
	wantOutcome(t, outcome, writeback.OK, writeback.ReasonOK)
	if outcome.Detail.MinLength == 0 || outcome.Detail.HistoryLength == 0 {
		t.Errorf("detail: %+v", outcome.Detail)
	}
	if n := in.directory.Writes("ada"); n != 0 {
		t.Errorf("%d writes", n)
	}
	beyond := ask(in.user(t, "jan"))
	wantOutcome(t, beyond, writeback.NotWritten, writeback.PolicyOutOfScope)
	nobody := in.user(t, "jan")
	nobody.Value = "nobody-" + nobody.Value
	if diff := cmp.Diff(beyond, ask(nobody)); diff != "" {
		t.Errorf("a user beyond the scope is told from one who does not exist (-beyond +nobody):\n%s", diff)
	}
}
