// Command writeback-send asks agents to reset a password, to unlock an account, or whether they are there, and prints the signed answer.
package main

import (
	"context"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
