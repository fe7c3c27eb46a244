package app

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/check"
	"github.com/password-writeback/writeback/agent/health"
)

func (c *checking) ledgerPath() string { return filepath.Join(c.cfg.StateDir, "ledger.db") }

// ledger does not open the ledger as such: that would lock it, and a running agent has it locked.
func (c *checking) ledger(context.Context) check.Finding {
	return c.kept(health.Ledger, c.ledgerPath(), c.cfg.StateDir)
}

func (c *checking) audit(ctx context.Context) check.Finding {
	finding := c.kept(health.Audit, filepath.Join(c.cfg.Audit.Dir, "head"), c.cfg.Audit.Dir)
	if finding.Verdict != check.Pass {
		return finding
	}
	last, err := audit.LastEntries(ctx, c.cfg.Audit.Dir, 1)
	if err != nil {
		return check.Failed(err.Error(), remedyState)
	}
	if len(last) > 0 {
		finding.Detail += "; its last line is of " + inSeconds(last[0].Position.Time)
	}
	return finding
}

const remedyState = "Let the account the agent runs as own the folder and what is in it, and run this check as that account."

// kept judges a file that the agent writes: by the word of the running agent, else by whether this account could write it.
func (c *checking) kept(name health.Name, file, folder string) check.Finding {
	if c.running != nil {
		for _, condition := range c.running.Conditions {
			if condition.Name == name && condition.Severity != health.OK {
				return check.Failed(condition.Message, condition.Remedy)
			}
		}
		return check.Passed("in use by the running agent")
	}
	opened, err := os.OpenFile(file, os.O_RDWR, 0)
	switch {
	case err == nil:
		return closed(opened, check.Passed("may be written"))
	case !errors.Is(err, fs.ErrNotExist):
		return check.Failed(err.Error(), remedyState)
	}
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return check.Passed("not there yet; made at the first start")
	case err != nil:
		return check.Failed(err.Error(), remedyState)
	case !info.IsDir():
		return check.Failed(folder+" is not a folder", "Remove the file, or name another folder.")
	}
	return check.Passed("not there yet; made at the first start")
}

func closed(file *os.File, finding check.Finding) check.Finding {
	if err := file.Close(); err != nil {
		return check.Failed(err.Error(), remedyState)
	}
	return finding
}

func joined(parts ...string) string {
	var some []string
	for _, part := range parts {
		if part != "" {
			some = append(some, part)
		}
	}
	return strings.Join(some, ", ")
}
