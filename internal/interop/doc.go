// Package interop runs other people's clients against relay/emulator: Microsoft's @azure/service-bus for JavaScript and
// Apache Qpid Proton for Python. Neither shares a line with the Go client that the rest of the project is tested with, so
// they notice where the emulator and that client agree on something only by being wrong in the same way.
//
// The scripts are below test/interop; they print TAP, and each of their steps becomes a subtest. test/setup.sh installs the
// clients. Where one cannot be installed its test skips with the reason, and where one is not installed because nobody ran
// the set-up it skips and says so.
package interop
