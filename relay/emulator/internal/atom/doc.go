// Package atom reads and writes what the management REST interface of Service Bus speaks: Atom (RFC 4287) entries and
// feeds that hold queue descriptions, XML Schema durations, and errors. It knows no queue and no HTTP; bytes in, values
// out, and back.
//
// Element names and their order are those of Microsoft's client libraries and of the samples among their tests.
package atom
