// Package interop runs what others wrote, and what others will read, against this project.
//
// Other people's clients against relay/emulator: Microsoft's @azure/service-bus for JavaScript and Apache Qpid Proton for
// Python. Neither shares a line with the Go client that the rest of the project is tested with, so they notice where the
// emulator and that client agree on something only by being wrong in the same way.
//
// The protocol in other languages: test/vectors holds programs that open tokens by docs/protocol.md, without a JOSE library
// and without a line of relay/envelope, and run its test vectors.
//
// The senders of examples/senders, which people copy: they set passwords through the whole agent, and must not believe any of the
// forged answers that a stand-in for writeback-send gives them.
//
// The scripts print TAP. test/setup.sh installs what they need. Where that is not possible a test skips with the reason, and where
// nobody ran the set-up and nothing suitable is installed it skips and says so.
package interop
