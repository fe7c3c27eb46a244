// Package agent decides and acts: it takes one sealed message and turns it into an outcome that is known and recorded.
//
// # Life of a request
//
// [Pipeline.Handle] walks a delivery through the steps in the order below; each step is one method, and the file it is
// in is named behind it. A step either lets the walk go on or ends it with an [ending].
//
//	1  received   the relay hands over the message; size and content type        (pipeline.go)
//	2  verified   signature, issuer, audience; nothing is decrypted before this  (open.go)
//	3  opened     the part sealed for this agent's key                           (open.go)
//	4  recalled   seen before? answer from memory or find out. New: counted
//	              towards the issuer's rate (limits.go); "claimed" goes into the
//	              ledger; then times, issuer, password are judged                (recall.go)
//	5  resolved   exactly one account on one controller; from here on its GUID   (decide.go)
//	6  admitted   the guard judges the account; nobody else's newer password
//	              is overwritten; the user's budget is not spent                 (decide.go)
//	              A check ends here, with what the directory says beforehand     (check.go)
//	7  recorded   the intent, in the audit and then in the ledger ("writing")    (write.go)
//	8  written    a last look, then one Modify                                   (write.go)
//	9  stored     outcome, signed result and outbox in one commit, then audit    (conclude.go)
//	10 settled    the reason decides, in writeback.Settle; the relay does it     (pipeline.go)
//
// When a write was sent and its answer was lost, a watch finds out what happened from the directory's own evidence
// (watch.go, evidence.go). The same watch resolves what an earlier process left behind (recover.go). Beside them: keylock.go makes
// requests for one account follow one another and lets few of them wait, limits.go keeps rates and budgets, foreign.go knows whose
// requests nobody opens, clock.go notices a clock that went back, events.go makes the audit's events.
//
// # Rooms
//
// agent/ledger remembers requests and budgets, agent/audit keeps the tamper-evident log, agent/guard says who may be reset,
// agent/passwords knows the banned and the breached ones, agent/health names what is wrong and closes the intake, agent/status answers
// questions, agent/check runs an administrator's probes, agent/config reads the configuration. The directory, the envelope and the queue
// are reached through the interfaces in ports.go only.
package agent
