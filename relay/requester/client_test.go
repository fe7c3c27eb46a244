package requester_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/envelope/envelopetest"
	"github.com/password-writeback/writeback/relay/requester"
)

func TestAResetGoesOutAsAskedAndItsAnswerComesBack(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		got := n.request(0)
		if got.Operation != writeback.OpReset || got.Subject != reset.User || !got.Password.Equal(reset.Password) ||
			!got.MustChange || !got.Unlock || got.Actor.ID != "op-1" || got.ReplySession != n.config.Session {
			t.Errorf("sent %+v", got)
		}
		if sent := n.sent[0]; sent.id != got.ID || sent.subject != "reset" || sent.ttl < 10*time.Minute || sent.ttl > 12*time.Minute {
			t.Errorf("message id %q, subject %q, ttl %s", sent.id, sent.subject, sent.ttl)
		}
		n.answer(n.signer, got.Claims, writeback.Written, nil)
		if reply := <-done; reply.err != nil || reply.result.Outcome.Verdict != requester.Written || reply.result.Agent != agent {
			t.Errorf("%+v", reply)
		}
	})
}

func TestUnlockAndPing(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		unlock := ask(func() (requester.Result, error) {
			return client.Unlock(t.Context(), requester.UnlockRequest{User: reset.User})
		})
		synctest.Wait()
		request := n.request(0)
		if request.Operation != writeback.OpUnlock || request.Actor.Kind != writeback.ActorSelf || !request.Password.Empty() {
			t.Errorf("unlock sent %+v", request)
		}
		n.answer(n.signer, request.Claims, writeback.Written, nil)
		must(t, (<-unlock).err)
		ping := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		n.answer(n.signer, n.request(1).Claims, writeback.OK, nil)
		if reply := <-ping; reply.err != nil || reply.result.Outcome.Verdict != requester.OK {
			t.Errorf("ping %+v", reply)
		}
	})
}

func TestAChangeCarriesBothPasswordsAndACheckNone(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		old := secret.NewString("Alt-1234")
		change := ask(func() (requester.Result, error) {
			return client.Change(t.Context(), requester.ChangeRequest{User: reset.User, OldPassword: old, Password: reset.Password, By: reset.By})
		})
		synctest.Wait()
		request := n.request(0)
		if request.Operation != writeback.OpChange || request.Subject != reset.User || !request.OldPassword.Equal(old) ||
			!request.Password.Equal(reset.Password) || request.MustChange || request.Unlock || request.Actor.ID != "op-1" || n.sent[0].subject != "change" {
			t.Errorf("change sent %+v", request)
		}
		n.answer(n.signer, request.Claims, writeback.NotWritten, func(r *writeback.Result) { r.Outcome.Reason = writeback.PasswordOldIncorrect })
		if reply := <-change; reply.err != nil || reply.result.Outcome.Reason != requester.PasswordOldIncorrect {
			t.Errorf("change %+v", reply)
		}
		check := ask(func() (requester.Result, error) {
			return client.Check(t.Context(), requester.CheckRequest{User: reset.User, By: reset.By})
		})
		synctest.Wait()
		request = n.request(1)
		if request.Operation != writeback.OpCheck || request.Subject != reset.User || !request.Password.Empty() || request.Actor.ID != "op-1" {
			t.Errorf("check sent %+v", request)
		}
		n.answer(n.signer, request.Claims, writeback.OK, func(r *writeback.Result) { r.Outcome.Detail.MinLength = 14 })
		if reply := <-check; reply.err != nil || reply.result.Outcome.Verdict != requester.OK || reply.result.Outcome.Detail.MinLength != 14 {
			t.Errorf("check %+v", reply)
		}
	})
}

func TestKeepLocked(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		locked := reset
		locked.KeepLocked = true
		prepared, err := client.PrepareReset(locked)
		must(t, err)
		verified, err := n.opener.Verify(prepared.Token)
		must(t, err)
		request, err := n.opener.Decrypt(verified)
		must(t, err)
		if request.Unlock {
			t.Error("a reset that keeps the lock unlocks")
		}
	})
}

func TestManyCallersWaitOnOneSession(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		const callers = 20
		replies := make(map[string]<-chan reply)
		var claims []writeback.Claims
		for i := range callers {
			done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
			synctest.Wait()
			claims = append(claims, n.request(i).Claims)
			replies[claims[i].ID] = done
		}
		for i := range claims { // answered in the opposite order
			n.answer(n.signer, claims[callers-1-i], writeback.OK, nil)
		}
		for id, done := range replies {
			if reply := <-done; reply.err != nil || reply.result.RequestID != id {
				t.Errorf("%s got the answer of %s, %v", id, reply.result.RequestID, reply.err)
			}
		}
		if stats := client.Stats(); stats != (requester.Stats{Results: callers}) {
			t.Errorf("%+v", stats)
		}
	})
}

func TestLiesAreCountedAndIgnored(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answers <- received{token: []byte("noise")}
		n.answer(n.stranger, claims, writeback.Written, nil)
		n.answer(n.signer, claims, writeback.Written, func(r *writeback.Result) { r.Audience = "other-portal" })
		n.answer(n.signer, claims, writeback.Written, func(r *writeback.Result) { r.RequestDigest[0] ^= 1 })
		n.answer(n.signer, claims, writeback.Written, func(r *writeback.Result) { r.RequestID = envelope.NewID() })
		synctest.Wait()
		select {
		case reply := <-done:
			t.Fatalf("a lie was believed: %+v", reply)
		default:
		}
		n.answer(n.signer, claims, writeback.NotWritten, func(r *writeback.Result) { r.Outcome.Reason = writeback.PasswordInHistory })
		if reply := <-done; reply.err != nil || reply.result.Outcome.Reason != writeback.PasswordInHistory {
			t.Errorf("%+v", reply)
		}
		if stats := client.Stats(); stats != (requester.Stats{Results: 1, Unverifiable: 3, Unmatched: 2}) {
			t.Errorf("%+v", stats)
		}
	})
}

func TestSilenceIsNoAnswerNeverFailure(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		start := time.Now()
		_, err := client.Reset(t.Context(), reset)
		var exchange *requester.ExchangeError
		if !errors.Is(err, requester.ErrNoAnswer) || !errors.As(err, &exchange) || exchange.RequestID != n.request(0).ID {
			t.Fatalf("%v", err)
		}
		if waited := time.Since(start); waited < 90*time.Second || waited > 3*time.Minute {
			t.Errorf("waited %s", waited)
		}
		// The answer comes late, and is still to be had.
		late := ask(func() (requester.Result, error) { return client.Await(t.Context(), exchange.RequestID) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.Written, nil)
		if reply := <-late; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("late: %+v", reply)
		}
		if _, err := client.Await(t.Context(), exchange.RequestID); !errors.Is(err, requester.ErrForgotten) {
			t.Errorf("after all is known: %v", err)
		}
	})
}

func TestTheCallersContextEndsTheWait(t *testing.T) {
	bubble(t, func(t *testing.T, _ *network, client *requester.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, err := client.Reset(ctx, reset); !errors.Is(err, requester.ErrNoAnswer) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
}

func TestAnUnknownOutcomeIsRevisedOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, nil)
		first := <-done
		if first.result.Outcome.Verdict != requester.Unknown {
			t.Fatalf("%+v", first)
		}
		early := ask(func() (requester.Result, error) { return client.Await(t.Context(), claims.ID) })
		synctest.Wait()
		time.Sleep(50 * time.Minute)
		n.answer(n.signer, claims, writeback.Written, nil)
		if reply := <-early; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("%+v", reply)
		}
	})
}

func TestARevisionThatNobodyAwaitedYetIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, nil)
		<-done
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := client.Await(ctx, claims.ID); !errors.Is(err, requester.ErrNoAnswer) {
			t.Errorf("still unknown: %v", err)
		}
		waiting := ask(func() (requester.Result, error) { return client.Await(t.Context(), claims.ID) })
		synctest.Wait()
		n.answer(n.signer, claims, writeback.Written, nil)
		if reply := <-waiting; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("%+v", reply)
		}
	})
}

func TestARevisionThatCameBeforeAnybodyAwaitedItIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
		synctest.Wait()
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, nil)
		<-done
		n.answer(n.signer, claims, writeback.Written, nil)
		synctest.Wait()
		if result, err := client.Await(t.Context(), claims.ID); err != nil || result.Outcome.Verdict != requester.Written {
			t.Errorf("%+v, %v", result, err)
		}
		if _, err := client.Await(t.Context(), claims.ID); !errors.Is(err, requester.ErrForgotten) {
			t.Errorf("after the outcome was seen: %v, want forgotten", err)
		}
	})
}

func TestARevisionThatCameRightBehindTheFirstAnswerIsKept(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		for i := range 20 { // whether the caller wakes between the two answers is up to the scheduler
			done := ask(func() (requester.Result, error) { return client.Reset(t.Context(), reset) })
			synctest.Wait()
			claims := n.request(i).Claims
			n.answer(n.signer, claims, writeback.Unknown, nil)
			n.answer(n.signer, claims, writeback.Written, nil)
			if first := <-done; first.err != nil || first.result.Outcome.Verdict != requester.Unknown {
				t.Fatalf("%+v", first)
			}
			if result, err := client.Await(t.Context(), claims.ID); err != nil || result.Outcome.Verdict != requester.Written {
				t.Fatalf("%+v, %v", result, err)
			}
		}
	})
}

func TestATokenSentAgainGetsItsNextAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		prepared, err := client.PrepareReset(reset)
		must(t, err)
		first := ask(func() (requester.Result, error) { return client.Exchange(t.Context(), prepared.Token) })
		synctest.Wait()
		n.answer(n.signer, prepared.Claims, writeback.Written, nil)
		must(t, (<-first).err)
		second := ask(func() (requester.Result, error) { return client.ExchangeAs(t.Context(), "fresh", prepared.Token) })
		synctest.Wait()
		n.answer(n.signer, prepared.Claims, writeback.Written, func(r *writeback.Result) { r.Outcome.Replayed = true })
		if reply := <-second; reply.err != nil || !reply.result.Outcome.Replayed {
			t.Errorf("%+v", reply)
		}
		if n.sent[0].id != prepared.Claims.ID || n.sent[1].id != "fresh" || string(n.sent[0].token) != string(n.sent[1].token) {
			t.Errorf("message ids %q and %q", n.sent[0].id, n.sent[1].id)
		}
	})
}

func TestAskingAgainAboutAnUnknownOutcomeWaitsForTheNewAnswer(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		prepared, err := client.PrepareReset(reset)
		must(t, err)
		first := ask(func() (requester.Result, error) { return client.Exchange(t.Context(), prepared.Token) })
		synctest.Wait()
		n.answer(n.signer, prepared.Claims, writeback.Unknown, nil)
		must(t, (<-first).err)
		second := ask(func() (requester.Result, error) { return client.ExchangeAs(t.Context(), "fresh", prepared.Token) })
		synctest.Wait()
		select {
		case reply := <-second:
			t.Fatalf("the old answer was taken for the new one: %+v", reply)
		default:
		}
		n.answer(n.signer, prepared.Claims, writeback.Written, nil)
		if reply := <-second; reply.err != nil || reply.result.Outcome.Verdict != requester.Written {
			t.Errorf("%+v", reply)
		}
	})
}

func TestAnIDUsedTwiceGetsTheAnswerToItsOwnContent(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		portal := envelopetest.Portal{Issuer: issuer, Group: group, SigningKey: n.config.SigningKey, Recipients: n.config.Agents[:1]}
		draft := portal.Draft()
		var replies []<-chan reply
		var claims []writeback.Claims
		for i := range 2 { // sealed anew: the same id, another content
			token, err := portal.Token(draft)
			must(t, err)
			replies = append(replies, ask(func() (requester.Result, error) { return client.Exchange(t.Context(), token) }))
			synctest.Wait()
			claims = append(claims, n.request(i).Claims)
		}
		n.answer(n.signer, claims[1], writeback.NotWritten, func(r *writeback.Result) { r.Outcome.Reason = writeback.EnvelopeIDReused })
		if reply := <-replies[1]; reply.err != nil || reply.result.RequestDigest != claims[1].Digest {
			t.Errorf("%+v", reply)
		}
		if reply := <-replies[0]; !errors.Is(reply.err, requester.ErrNoAnswer) {
			t.Errorf("the first content got the second's answer: %+v", reply)
		}
	})
}

func TestADuplicatedAnswerCountsOnce(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		id := envelope.NewID()
		same := func(r *writeback.Result) { r.ID = id }
		claims := n.request(0).Claims
		n.answer(n.signer, claims, writeback.Unknown, same)
		n.answer(n.signer, claims, writeback.Unknown, same)
		<-done
		synctest.Wait()
		if stats := client.Stats(); stats != (requester.Stats{Results: 1, Repeated: 1}) {
			t.Errorf("%+v", stats)
		}
	})
}

func TestReceivingGoesOnAfterTrouble(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		trouble := errors.New("link detached")
		for range 5 {
			n.answers <- received{err: trouble}
		}
		done := ask(func() (requester.Result, error) { return client.Ping(t.Context()) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.OK, nil)
		if reply := <-done; reply.err != nil {
			t.Errorf("%+v", reply)
		}
		if stats := client.Stats(); stats.ReceiveFails != 5 {
			t.Errorf("%+v", stats)
		}
	})
}

func TestNoAnswerNamesTheTroubleOfReceiving(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		trouble := errors.New("unauthorized to listen")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range 64 {
			n.answers <- received{err: trouble}
		}
		if _, err := client.Ping(ctx); !errors.Is(err, requester.ErrNoAnswer) || !errors.Is(err, trouble) {
			t.Errorf("%v", err)
		}
	})
}

func TestASendThatIsNotConfirmedLeavesTheOutcomeUnknown(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		n.sendErr = errors.New("connection reset")
		_, err := client.Reset(t.Context(), reset)
		var exchange *requester.ExchangeError
		if !errors.Is(err, requester.ErrNotConfirmed) || !errors.Is(err, n.sendErr) || !errors.As(err, &exchange) {
			t.Fatalf("%v", err)
		}
		late := ask(func() (requester.Result, error) { return client.Await(t.Context(), exchange.RequestID) })
		synctest.Wait()
		n.answer(n.signer, n.request(0).Claims, writeback.Written, nil)
		must(t, (<-late).err)
	})
}

func TestCloseReleasesWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		client := n.client()
		done := ask(func() (requester.Result, error) { return client.Ping(context.Background()) })
		synctest.Wait()
		must(t, client.Close(t.Context()))
		if reply := <-done; !errors.Is(reply.err, requester.ErrNoAnswer) || !errors.Is(reply.err, requester.ErrClosed) {
			t.Errorf("%v", reply.err)
		}
		if _, err := client.Ping(t.Context()); !errors.Is(err, requester.ErrClosed) || len(n.sent) != 1 {
			t.Errorf("after Close: %v; %d sent", err, len(n.sent))
		}
		must(t, client.Close(t.Context()))
	})
}

func TestWhatCannotBeMadeIsNotSent(t *testing.T) {
	bubble(t, func(t *testing.T, n *network, client *requester.Client) {
		for name, request := range map[string]requester.ResetRequest{
			"nobody":         {Password: reset.Password},
			"not UTF-8":      {User: reset.User, Password: secret.NewString("\xff")},
			"admin no id":    {User: reset.User, Password: reset.Password, By: requester.Verification{Actor: requester.Actor{Kind: requester.ActorAdmin}}},
			"method twice":   {User: reset.User, Password: reset.Password, By: requester.Verification{Methods: []string{"otp", "otp"}}},
			"id with a line": {User: requester.Subject{Kind: requester.ByUPN, Value: "a\nb"}, Password: reset.Password},
		} {
			var fault *requester.Error
			if _, err := client.Reset(t.Context(), request); !errors.As(err, &fault) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := client.Exchange(t.Context(), []byte("noise")); err == nil || len(n.sent) != 0 {
			t.Errorf("noise: %v; %d sent", err, len(n.sent))
		}
	})
}

func TestNewRefusesItsConfiguration(t *testing.T) {
	n := newNetwork(t)
	unnamed, err := envelope.GenerateSealingKey()
	must(t, err)
	for name, spoil := range map[string]func(*requester.Config){
		"no transport":       func(c *requester.Config) { c.Transport = nil },
		"no session":         func(c *requester.Config) { c.Session = "" },
		"no issuer":          func(c *requester.Config) { c.Issuer = "" },
		"another group":      func(c *requester.Config) { c.Group = "other" },
		"no agents":          func(c *requester.Config) { c.Agents = nil },
		"an unnamed agent":   func(c *requester.Config) { c.Agents = append(c.Agents, unnamed.Public()) },
		"no signing agent":   func(c *requester.Config) { c.Agents = c.Agents[:1] },
		"no sealing agent":   func(c *requester.Config) { c.Agents = c.Agents[1:] },
		"no key":             func(c *requester.Config) { c.SigningKey = requester.PrivateKey{} },
		"a life of an hour":  func(c *requester.Config) { c.Life = time.Hour },
		"a sealing key only": func(c *requester.Config) { c.SigningKey = unnamed },
	} {
		config := n.config
		config.Agents = append([]requester.PublicKey(nil), config.Agents...)
		spoil(&config)
		_, err := requester.New(config)
		var fault *requester.Error
		if !errors.As(err, &fault) || fault.Remedy() == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
