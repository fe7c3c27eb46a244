// Package writeback is the vocabulary all rooms share: what a request is, whom it is about, how it ended and why.
//
// It is a leaf: it imports only internal/secret, does no input or output, and holds no policy but the one table that says
// what each [Reason] means and how the message that caused it is settled (reason_table.go). docs/reasons.md is made from it.
package writeback

//go:generate go run ./reasonsdoc -out ../../docs/reasons.md
