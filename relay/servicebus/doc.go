// Package servicebus brings Azure Service Bus to the relay and to portals. It is the only importer of azservicebus.
//
// [Agent] receives requests and sends results; [Portal] sends requests and receives the results of its own session. Both connect
// when they are first used and reconnect on their own: dialling checks the configuration, not the broker.
//
// # What the SDK must not do to us
//
// The methods here wrap azservicebus v1.11 so that its known hazards stay inside:
//
//   - A message whose application properties have unexpected types makes ReceiveMessages panic. The panic is caught
//     (guard.go); the receiver stays in use and the message leaves the queue by its delivery count.
//   - A receiver whose link was detached for "server busy" returns nothing, without an error, at once and forever. Any empty return
//     replaces the receiver, a second one the whole connection (receiver.go).
//   - A sender in the same state fails forever. Any failure replaces the sender (sender.go).
//   - A settlement on a lost connection is retried for most of a minute. It gets a few seconds, then the message is settled by its lock
//     token on the current connection (settle.go).
//   - No call has a time limit of its own. Each gets one here.
//   - Connecting cannot be observed. A management request right after attaching proves that the queue answers (receiver.go).
package servicebus
