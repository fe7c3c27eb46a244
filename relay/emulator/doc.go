// Package emulator is a Service Bus namespace in pure Go, for tests and demonstrations: it speaks enough of the AMQP
// 1.0 dialect of Azure Service Bus queues that unmodified client libraries work against it, over TCP, TLS, WebSocket or,
// with no port at all, over net.Pipe.
//
// It keeps everything in memory and forgets it when it ends, unless it is given a directory. Its behaviour follows the
// documentation and the sources of Microsoft's client libraries; it was never compared with a live namespace. See
// docs/emulator.md for what is covered and what is not.
//
// How it is built: internal/amqp reads and writes the wire, internal/broker keeps messages, internal/access verifies
// tokens, internal/store keeps queues in files, internal/atom reads and writes the documents of the management interface.
// This package joins them. Each connection is served by three goroutines: one reads frames, one writes them
// from a bounded queue, and one owns all state of the connection, so that sessions and links need no locks. Queues,
// shared by connections, have one lock each; they hand messages to a connection's inbox and never wait for it.
package emulator
