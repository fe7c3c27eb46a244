package config

import (
	"os"
	"path/filepath"
)

// defaultGroup is empty: on Windows the folder's access list decides who may ask for the status.
const defaultGroup = ""

// DefaultPath is where the agent looks for its configuration when it is not told.
func DefaultPath() string { return filepath.Join(dataDir(), "config.yaml") }

func defaultStateDir() string { return filepath.Join(dataDir(), "state") }

func defaultSocket() string { return filepath.Join(dataDir(), "agent.sock") }

// dataDir is the agent's folder below %ProgramData%, which Windows always sets for services.
func dataDir() string {
	base := os.Getenv("ProgramData")
	if base == "" {
		base = `C:\ProgramData`
	}
	return filepath.Join(base, "Writeback Agent")
}

// serviceIdentity says whether the agent can log on to a domain as the account it runs as.
const serviceIdentity = true
