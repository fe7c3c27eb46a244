// Command writeback-lab runs a Service Bus namespace and a directory in one process, to see the writeback agent at work or to
// develop against it, without a cloud and without a domain.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set at build time by -ldflags "-X main.version=...".
var version = "development"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
