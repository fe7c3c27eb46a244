// Package ledger is the agent's durable memory: which requests it has seen, how far each got, how it ended, and which
// answers the queue has not accepted yet. It is what makes "once or not at all, and known" true across a crash.
//
// # Life of a record
//
//	            Claim           BeginWriting            Finish
//	(nothing) ---------> claimed ------------> writing ---------> done
//	                        |  <--------------    |                |
//	                        |     Release         |                +-- Revise: unknown becomes written, once
//	                        +------- Finish ------+--> done        +-- Settle: unknown is no longer looked for
//
// A claimed record has sent nothing to any directory. A writing record may have: it was made durable right before the
// Modify, and only evidence from the directory may finish it. A done record never changes again, except that an unknown
// outcome may be revised once to written. Every other step is refused with [ErrState] and changes nothing.
//
// BeginWriting also charges an account's [Budget], and Release and Finish give the try back where nothing was guessed by it.
//
// # What is promised
//
// When a method that changes something returns nil, the change is on the disk. When it returns an error, nothing was
// changed, except that after a failed fsync the disk itself may hold what the error denied: such a record says writing
// although nothing was sent, and is resolved by looking, which is the safe side. Concurrent callers share one commit.
// A context is heeded until a change was handed to the disk; from then on its end is waited for, because an answer
// "perhaps recorded" would be worthless.
//
// No secret is ever stored. The file holds account GUIDs, controller names and request ids; it is created with mode 0600.
//
// Values carry a checksum over their place and content, so that a damaged one is noticed when the ledger is opened. A
// damaged ledger is never repaired or replaced by the agent: forgetting what was written could write it twice.
package ledger
