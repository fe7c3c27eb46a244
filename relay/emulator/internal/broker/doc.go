// Package broker keeps the messages: queues with peek-lock, sessions, time to live, dead-lettering, duplicate
// detection and scheduled messages, as Azure Service Bus documents them. It knows message sections and nothing of
// connections, links or tokens.
//
// Each Queue has one lock and one timer. Nothing here blocks, and nothing polls: a queue with nothing due does not
// run. Consumers are told about messages through a Sink, which is called with the queue locked and must only take
// note.
package broker
