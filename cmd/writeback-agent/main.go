// Command writeback-agent takes verified password requests from a cloud queue and writes them into Active Directory.
package main

import (
	"context"
	"os"
)

// version is set at build time by -ldflags "-X main.version=...".
var version = "development"

func main() { os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)) }
