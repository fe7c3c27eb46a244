package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/app"
)

func newConfig() *cobra.Command {
	return group("config", "Work with the configuration", newConfigValidate())
}

func newConfigValidate() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "validate", Short: "Check the configuration and name every fault", Args: noArguments,
		Long: `Reads the configuration file and everything it refers to (secrets, certificates, keys), and names every fault
in one run, each with its place and its remedy. Nothing is started and nothing outside this host is contacted.

Exit code: 0 no fault, 2 faults.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return validate(cmd, asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the faults as JSON")
	return cmd
}

func validate(cmd *cobra.Command, asJSON bool) error {
	cfg, err := loadConfig(cmd)
	if err == nil {
		err = app.CheckFiles(cfg)
	}
	if asJSON {
		return printFaults(cmd.OutOrStdout(), err)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "The configuration is valid: group %s, agent %s, %d domains, %d issuers.\n",
		cfg.Group, cfg.Agent, len(cfg.Domains), len(cfg.Issuers))
	return err
}

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
	if encodeErr := json.NewEncoder(out).Encode(report); encodeErr != nil {
		return encodeErr
	}
	if !report.Valid {
		return exitError{exitUsage}
	}
	return nil
}
