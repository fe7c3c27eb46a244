// Package requester is the SDK for portals: it signs and seals requests, sends them through a queue to the agents inside the
// network, and waits for the signed answers.
//
// One [Client] serves a whole portal process. All its requests name one reply session, so that one long-lived session on the
// results queue carries all answers, however many callers wait:
//
//	client, err := requester.Dial(ctx, requester.DialConfig{...})
//	...
//	result, err := client.Reset(ctx, requester.ResetRequest{
//		User:     requester.Subject{Kind: requester.BySID, Value: sid},
//		Password: requester.NewSecret(password),
//		By:       requester.Verification{Actor: requester.Actor{Kind: requester.ActorSelf}, AuthTime: verified, Methods: []string{"otp"}},
//	})
//
// # What an answer means
//
// A [Result] was signed by a pinned agent for exactly this request; its Outcome says what became of the directory. Anything else that
// arrives is counted ([Client.Stats]) and ignored.
//
// Silence is not failure. When no answer comes, the error is [ErrNoAnswer], and the password may or may not have been set: tell the
// person to try the new one first. The same holds for the verdict [Unknown]. Both can still be settled later: [Client.Await] waits for a
// late answer, and for the one revision from Unknown to [Written] that an agent sends when the write turns out to have taken effect.
package requester
