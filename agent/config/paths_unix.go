//go:build !windows

package config

// defaultGroup is the group that may ask for the status; the packages create it.
const defaultGroup = "writeback-agent"

// DefaultPath is where the agent looks for its configuration when it is not told.
func DefaultPath() string { return "/etc/writeback-agent/config.yaml" }

func defaultStateDir() string { return "/var/lib/writeback-agent" }

func defaultSocket() string { return "/run/writeback-agent/agent.sock" }

// serviceIdentity says whether the agent can log on to a domain as the account it runs as.
const serviceIdentity = false
