package agent_test

import (
	"crypto/sha256"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/password-writeback/writeback/internal/writeback"
)

// serial makes tokens and ids of one test run differ.
var serial atomic.Int64

// order is a request the way a test writes it down.
type order struct {
	user      string
	operation writeback.Operation // empty: reset
	password  string              // empty: "N3w-Password!"
	old       string              // of a change
	id        string              // empty: a new one
	age       time.Duration       // since it was issued
	verifyErr error
	openErr   error
	signed    bool
	operator  string // who asks for somebody else; empty: the user
	issuer    string // empty: portal
	content   string // makes the digest differ under one id
}

const newPassword = "N3w-Password!"

// ask registers a request with the envelope and returns its token.
func (w *world) ask(o order) (writeback.Request, []byte) {
	n := strconv.FormatInt(serial.Add(1), 10)
	if o.operation == "" {
		o.operation = writeback.OpReset
	}
	if o.password == "" {
		o.password = newPassword
	}
	if o.id == "" {
		o.id = "request-" + n
	}
	if o.issuer == "" {
		o.issuer = "portal"
	}
	issued := time.Now().Add(-o.age)
	request := writeback.Request{
		Claims: writeback.Claims{
			Issuer: o.issuer, Audience: "corp", ID: o.id, IssuedAt: issued, ExpiresAt: issued.Add(time.Minute), Operation: o.operation,
			Actor: writeback.Actor{Kind: writeback.ActorSelf}, ReplySession: "session-1", Digest: sha256.Sum256([]byte(o.id + o.content)),
		},
		Subject: writeback.Subject{Kind: writeback.ByUPN, Value: o.user},
		Unlock:  true,
	}
	if o.operator != "" {
		request.Actor = writeback.Actor{Kind: writeback.ActorAdmin, ID: o.operator}
	}
	token := w.envelope.put("token-"+n, sealed{request: request, password: o.password, old: o.old, verifyErr: o.verifyErr, openErr: o.openErr, signed: o.signed})
	return request, token
}

// expect is what the portal and the queue see of one delivery.
type expect struct {
	Settlement writeback.Settlement
	Verdict    writeback.Verdict
	Reason     writeback.Reason
	Replayed   bool
}

// deliver handles a token and returns what was seen.
func (w *world) deliver(token []byte) expect {
	w.t.Helper()
	return w.deliverAgain(token, 1)
}

// deliverAgain is deliver for a message that the queue has handed out count times.
func (w *world) deliverAgain(token []byte, count uint32) expect {
	w.t.Helper()
	before := len(w.results())
	disposition := w.pipeline.Handle(w.t.Context(), delivery(token, count))
	seen := expect{Settlement: disposition.Settlement, Reason: disposition.Reason}
	if results := w.results(); len(results) > before {
		outcome := results[len(results)-1].Outcome
		seen.Verdict, seen.Reason, seen.Replayed = outcome.Verdict, outcome.Reason, outcome.Replayed
	}
	return seen
}
