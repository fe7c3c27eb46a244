package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/logging"
)

func newServe() *cobra.Command {
	var options lab.ServeOptions
	var verbose bool
	var trace string
	cmd := &cobra.Command{
		Use: "serve", Short: "Run the queues and the directory, and tell how to use them", Args: noArguments,
		Long: `Runs a Service Bus namespace and a directory on loopback until it is interrupted, and writes into a folder what an agent
and a sender need: configuration, connection strings, keys, the directory's authority. Shows the commands to type.

Everything is kept in memory only, and the folder goes away in the end unless you name one.

` + aboutFaults(),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			log, err := logging.New(cmd.ErrOrStderr(), logging.Options{Level: level(verbose), Format: "text"})
			if err != nil {
				return err
			}
			var closeTrace func() error
			if options.Trace, closeTrace, err = openTrace(trace, cmd.ErrOrStderr()); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, closeTrace()) }()
			options.Stdout, options.Log = cmd.OutOrStdout(), log
			options.Style = styleOf(options.Stdout, os.Getenv)
			if self, err := os.Executable(); err == nil {
				options.Programs = filepath.Dir(self) // they are built side by side
			}
			return lab.Serve(cmd.Context(), options)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&options.QueueAddr, "queue-addr", "127.0.0.1:0", "where Service Bus clients connect, `host:port`; port 0 takes a free one")
	flags.StringVar(&options.DirectoryAddr, "directory-addr", "127.0.0.1:0", "where LDAPS clients connect, `host:port`")
	flags.StringVar(&options.Folder, "folder", "", "an empty or new `folder` for the files; it stays (default: a temporary one)")
	flags.StringVar(&trace, "trace", "", "add a line for each frame between the queues and their clients to a `file`, - for the standard error; never bodies or tokens")
	troubleFlags(cmd, &options.Trouble)
	flags.BoolVarP(&verbose, "verbose", "v", false, "log connections")
	return cmd
}
