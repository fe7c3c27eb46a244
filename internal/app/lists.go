package app

import (
	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/agent/health"
	"github.com/password-writeback/writeback/agent/passwords"
)

// openLists reads the lists of banned and breached passwords; add learns of each that cannot be used.
func openLists(policy config.Policy, add func(path string, err error)) *passwords.Lists {
	return passwords.Open(policy.BannedWordsFile, policy.BreachedPasswordsFile, add)
}

// judgeLists notices a list that could be used at the start and no longer can.
func (a *Agent) judgeLists() {
	problem := a.lists.Problem()
	if problem == nil {
		a.board.Clear(health.Passwords)
		return
	}
	a.board.Set(health.Passwords, health.Degraded, rootCause(problem),
		"Put a good list in place, under the same name; it is read without a restart.")
}
