package agent_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// lists refuse every password, and count how often they were asked.
type lists struct{ asked int }

func (l *lists) Check(context.Context, secret.Value) error {
	l.asked++
	return &writeback.Error{Reason: writeback.PasswordBanned, Detail: writeback.Detail{Hint: "breached"}, Cause: errors.New("known")}
}

// withLists makes the world's agent anew, with lists.
func (w *world) withLists() *lists {
	w.t.Helper()
	l := &lists{}
	w.config.Passwords = l
	w.pipeline.Close()
	var err error
	if w.pipeline, err = agent.New(w.config); err != nil {
		w.t.Fatal(err)
	}
	return l
}

func TestAListedPasswordIsRefusedBeforeTheDirectoryIsAsked(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := w.withLists()
		w.withOldPassword()
		refused := expect{writeback.Complete, writeback.NotWritten, writeback.PasswordBanned, false}
		_, token := w.ask(order{user: "nobody"}) // whom the directory would not find
		check(t, "reset", refused, w.deliver(token))
		_, token = w.ask(change(oldPassword))
		check(t, "change", refused, w.deliver(token))
		if hint := w.last().Outcome.Detail.Hint; hint != "breached" {
			t.Errorf("hint %q", hint)
		}
		check(t, "lists asked", 2, l.asked)
		_, token = w.ask(order{user: "alice", operation: writeback.OpCheck})
		if got := w.deliver(token); got.Reason == writeback.PasswordBanned {
			t.Errorf("a check: %+v", got)
		}
		check(t, "lists asked, after a check", 2, l.asked)
	})
}

// TestListsDoNotSpeakAboutThePast: another agent, with other lists, may have written an expired request.
func TestListsDoNotSpeakAboutThePast(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		l := w.withLists()
		_, token := w.ask(order{user: "alice", age: 10 * time.Minute})
		w.directory.edit("alice", func(a *account) { a.Password.ChangedAt = time.Now().Add(-9 * time.Minute) })
		check(t, "expired", expect{writeback.Complete, writeback.Unknown, writeback.RequestExpired, false}, w.deliver(token))
		check(t, "lists asked", 0, l.asked)
	})
}
