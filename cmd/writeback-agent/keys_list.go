package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/app"
	"github.com/password-writeback/writeback/relay/envelope"
)

func newKeysList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List this agent's keys, and those of the portals", Args: noArguments,
		Long: `Lists this agent's keys, the newest first, the portals' keys, and what was revoked. A key is named by its
thumbprint (RFC 7638), as in every token. Its state:

  next      handed out, but it does not sign yet
  active    in use, without an end
  retiring  in use until it expires
  retired   expired; deleted soon
  revoked   taken out of use before its time
  broken    its file cannot be used`,
		RunE: func(cmd *cobra.Command, _ []string) error { return listKeys(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the public keys")
	return cmd
}

// keyList is what "keys list --json" prints.
type keyList struct {
	Keys    []status.Key        `json:"keys"`
	Trusted []status.TrustedKey `json:"trusted"`
	Revoked []status.RevokedKey `json:"revoked"`
}

func listKeys(cmd *cobra.Command, asJSON bool) error {
	cfg, err := loadIdentity(cmd)
	if err != nil {
		return err
	}
	files, err := app.ReadKeyFiles(cfg)
	if err != nil {
		return err
	}
	now := time.Now()
	list := keyList{Trusted: append([]status.TrustedKey{}, files.DescribeTrusted(app.ConfiguredKeys(cfg, nil), now)...), Revoked: files.DescribeRevoked()}
	if list.Keys, err = files.Describe(now); err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), list)
	}
	return printList(cmd.OutOrStdout(), list)
}

func printList(out io.Writer, list keyList) error {
	if len(list.Keys) == 0 {
		_, _ = fmt.Fprintln(out, `There are no keys yet: run "writeback-agent keys new".`)
	} else if err := printKeys(out, list.Keys); err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if len(list.Trusted) > 0 {
		_, _ = fmt.Fprintln(table, "\nPORTAL'S KEY\tISSUER\tSTATE\tEXPIRES\tFROM")
	}
	for _, key := range list.Trusted {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", key.ID, key.Issuer, key.State, moment(key.Expires, "never"), key.Source)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if len(list.Revoked) > 0 {
		_, _ = fmt.Fprintln(table, "\nREVOKED\tON\tREASON")
	}
	for _, key := range list.Revoked {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\n", key.ID, moment(key.At, "unknown"), key.Reason)
	}
	return table.Flush()
}

func printKeys(out io.Writer, rows []status.Key) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "KEY\tUSE\tSTATE\tCREATED\tSIGNS\tEXPIRES")
	for _, row := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", row.ID, row.Use, row.State, moment(row.Created, "unknown"), signs(row), moment(row.Expires, "never"))
	}
	return table.Flush()
}

// signs says since when or from when on a key signs.
func signs(key status.Key) string {
	switch {
	case key.Signs:
		return "now"
	case key.State == string(envelope.KeyNext):
		return "from " + moment(key.ActiveFrom, "")
	case key.Use == "signing" && key.State != string(envelope.KeyBroken):
		return "no more"
	}
	return "-"
}

func moment(at time.Time, none string) string {
	if at.IsZero() || at.Unix() <= 0 {
		return none
	}
	return at.UTC().Format(time.DateTime) + "Z"
}
