package e2e_test

import (
	"context"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azservicebus"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/ldapwriter/adtest"
	"github.com/password-writeback/writeback/relay/emulator"
)

// testCrash takes the agent, or the controller's answer, away where it hurts.
func testCrash(t *testing.T, built programs) {
	t.Run("AnswerLost", func(t *testing.T) {
		t.Parallel()
		answerLost(t, installFake(t, built))
	})
	t.Run("StoppedWhileWriting", func(t *testing.T) {
		t.Parallel()
		endedWhileWriting(t, installFake(t, built), (*lab.Agent).Stop)
	})
	t.Run("KilledBetweenRequests", func(t *testing.T) {
		t.Parallel()
		killedBetweenRequests(t, installFake(t, built))
	})
	t.Run("KilledWhileWriting", func(t *testing.T) {
		t.Parallel()
		endedWhileWriting(t, installFake(t, built), (*lab.Agent).Kill)
	})
}

// killedBetweenRequests: what was done is remembered, and what arrived meanwhile is served.
func killedBetweenRequests(t *testing.T, f fake) {
	token := f.goodToken(t, "ada")
	wantWritten(t, f.exchange(t, token))
	check(t, f.agent.Kill())

	// The queue may not have noticed yet and hand one more message to the dead: not the one that matters.
	rawSender(t, f.namespace)(&azservicebus.Message{Body: []byte("a message for the dead")})
	waiting := f.exchangeLater(t, f.goodToken(t, "ben"))
	f.untilCounted(t, func(c emulator.Counts) bool { return c.Active+c.Locked == 2 })
	f.start(t)
	wantWritten(t, waiting())
	outcome := f.exchange(t, token)
	wantWritten(t, outcome)
	if !outcome.Replayed || f.directory.Writes("ada") != 1 {
		t.Errorf("the repetition was answered from memory: %v, after %d writes; want true and 1", outcome.Replayed, f.directory.Writes("ada"))
	}
	f.wantReset(t, "chloe")
}

// answerLost: the controller wrote and was cut off before it could say so. The agent finds out from the directory's own
// evidence and tells the person, who still waits.
func answerLost(t *testing.T, f fake) {
	remove := f.directory.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.DropAfter, Times: 1})
	defer remove()
	wantWritten(t, f.exchange(t, f.goodToken(t, "ada")))
	if writes := f.directory.Writes("ada"); writes != 1 {
		t.Errorf("the password was written %d times, want once", writes)
	}
}

// endedWhileWriting: the controller carries out what it was told although nobody waits for its answer any more. The agent
// that starts next finds out and answers, without a redelivery and without a second write. An agent that was stopped in order
// may have said before that it does not know; that is then revised.
func endedWhileWriting(t *testing.T, f fake, end func(*lab.Agent) error) {
	struck := make(chan string, 1)
	release := f.directory.Inject(adtest.Fault{On: adtest.OnModify, Effect: adtest.Hang, Struck: struck})
	defer release()
	token := f.goodToken(t, "ada")
	waiting := f.exchangeLater(t, token)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	select {
	case <-struck:
	case <-ctx.Done():
		t.Fatal("the write has not reached the directory")
	}
	check(t, end(f.agent))
	release()
	f.start(t)

	wantWritten(t, f.final(t, token, waiting()))
	if writes := f.directory.Writes("ada"); writes != 1 {
		t.Errorf("the password was written %d times, want once", writes)
	}
	f.until(t, func(s lab.Status) bool { return s.Unresolved == 0 && s.Outbox == 0 })
	f.wantReset(t, "ben")
}

// final asks again, with the same token, until the agent knows the outcome.
func (in *installation) final(t *testing.T, token []byte, outcome writeback.Outcome) writeback.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for outcome.Verdict == writeback.Unknown && ctx.Err() == nil {
		outcome = in.exchange(t, token)
	}
	return outcome
}

// exchangeLater sends a token and returns at once; the function it returns waits for the answer.
func (in *installation) exchangeLater(t *testing.T, token []byte) (wait func() writeback.Outcome) {
	t.Helper()
	type answer struct {
		result writeback.Result
		err    error
	}
	answered := make(chan answer, 1)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	go func() {
		result, err := in.portal.Exchange(ctx, token)
		answered <- answer{result, err}
	}()
	return func() writeback.Outcome {
		t.Helper()
		got := <-answered
		check(t, got.err)
		return got.result.Outcome
	}
}

// testOutage cuts what the agent is connected to: it comes back by itself.
func testOutage(t *testing.T, built programs) {
	f := installFake(t, built)
	f.wantReset(t, "ada")
	f.namespace.DropConnections()
	f.wantReset(t, "ben")
	f.directory.Disconnect()
	f.wantReset(t, "chloe")
}
