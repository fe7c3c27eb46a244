package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/config"
)

func newConfig() *cobra.Command {
	return group("config", "Work with the configuration", newConfigValidate())
}

func newConfigValidate() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "validate", Short: "Check the configuration and name every fault", Args: noArguments,
		Long: `Reads the configuration file and everything it refers to (secrets, certificates, keys), and names every fault
in one run, each with its place and its remedy. Nothing is started or changed, and nothing outside this host is
contacted. Run it as the account the agent runs as: who may read the files is part of the check.

Exit code: 0 no fault, 2 faults.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return validate(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the faults as JSON")
	return cmd
}

func validate(cmd *cobra.Command, asJSON bool) error {
	cfg, err := loadConfig(cmd)
	if asJSON {
		return printFaults(cmd.OutOrStdout(), err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The configuration is valid: agent %s of group %s, with %s and %s.\n",
		cfg.Agent, cfg.Group, count(len(cfg.Domains), "domain"), count(len(cfg.Issuers), "issuer"))
	return err
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// printFaults prints what a program reads: whether the configuration is valid, and every fault.
func printFaults(out io.Writer, err error) error {
	var faults *config.Faults
	if err != nil && !errors.As(err, &faults) {
		return err
	}
	report := struct {
		Valid  bool           `json:"valid"`
		Faults []config.Fault `json:"faults"`
	}{Valid: err == nil, Faults: []config.Fault{}}
	if faults != nil {
		report.Faults = faults.List
	}
	if err := printJSON(out, report); err != nil {
		return err
	}
	if !report.Valid {
		return exitError{exitUsage}
	}
	return nil
}
