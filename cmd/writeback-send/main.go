// Command writeback-send asks agents to reset a password, to unlock an account, or whether they are there, and prints the signed answer.
package main

import (
	"context"
	"os"
)

// version is set at build time by -ldflags "-X main.version=...".
var version = "development"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
