// Package relay moves messages: from the requests queue to whoever decides about them, and from the outbox to the portals.
//
// It knows no broker, no cryptography and no directory. A [Source] hands over one message at a time, a [Handler] decides, and
// the relay does to the message what was decided; signed results wait in an [Outbox] until a [Sender] has brought them away.
//
// # Life of a message
//
//  1. A slot is taken (config.go, Concurrency). Only then is a message asked for, so that none is locked while nobody works on it.
//  2. The [Gate] is asked. It is closed while the agent cannot remember or record what it does; nothing is received meanwhile.
//  3. One Receive (intake.go). Trouble with the connection is answered by waiting longer and longer, with jitter.
//  4. The handler runs on a goroutine of its own, its panics contained (work.go), while the lock is watched and renewed
//     before it runs out (lock.go).
//  5. The message is held for as long as the handler asked, then settled: completed, abandoned, or discarded (settle.go).
//     A few of the discarded ones are kept as dead-letter samples (samples.go), so that an administrator can see what was
//     sent while a flood fills no queue.
//
// Results go their own way (pump.go, lane.go): neither does a slow settlement delay the answer a person waits for, nor does
// a results queue that refuses keep any request from being settled, or any other portal from getting its answers.
//
// # Stopping is not cancelling
//
// When the context given to [Loop.Run] ends, the intake stops at once. What is in hand is finished within the drain time while
// results are still sent. Only then is the context of the handlers cancelled (drain.go).
package relay
