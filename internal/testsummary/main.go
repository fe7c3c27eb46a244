// Command testsummary reads `go test -json` and prints what a person or a CI log wants of it: one line per package as go test
// prints it, the whole output of what failed, why tests were skipped, and `N passed, N failed, N skipped` as the last line.
//
//	go test -json ./... | testsummary [CHECK NOT RUN: REASON]...
//
// Each argument names a check that could not run on this machine; it is listed and counted with the skipped tests.
// The exit code is 0 when nothing failed, 1 when something did, 2 when the input is no test output.
//
// gotestsum would do most of this. It is not used because a build of its own comes with it, its last line cannot be chosen,
// and it has no place for the checks that were left out, which must not go unseen.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Stdin, os.Stdout, os.Args[1:]))
}

// run summarises the events on in to out and returns the exit code.
func run(in io.Reader, out io.Writer, notRun []string) int {
	w := bufio.NewWriter(out)
	s := newSummary(w)
	err := s.readAll(in)
	s.close(notRun)
	if err != nil {
		_, _ = fmt.Fprintln(w, "testsummary:", err)
	}
	if flushErr := w.Flush(); err != nil || flushErr != nil {
		return 2
	}
	if s.failed > 0 {
		return 1
	}
	return 0
}
