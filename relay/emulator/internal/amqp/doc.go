// Package amqp reads and writes the AMQP 1.0 wire format (OASIS standard, parts 1 to 3 and 5) as far as a
// Service Bus emulator needs it: the type system, frames, performatives, delivery states and message sections.
//
// Everything read here comes from outside, so every decoder is bounded: nesting depth, the number of elements
// (arrays of zero-width elements announce four thousand million of them in nine bytes), and the size of frames.
// Nothing is allocated on the strength of a number that the peer wrote; memory grows only with bytes received.
//
// The package knows no connection and no broker: bytes in, values out, and back.
package amqp
