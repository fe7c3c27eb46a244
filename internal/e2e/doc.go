// Package e2e holds tests of the whole: the real agent process between a portal and a directory, the queue being the emulator
// over TCP. One half runs against the fake directory and everywhere, the other against the Samba controller that `make test`
// starts, and skips with the reason where there is none.
package e2e
