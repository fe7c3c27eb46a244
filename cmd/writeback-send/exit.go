package main

import (
	"fmt"
	"strings"

	"github.com/password-writeback/writeback/relay/requester"
)

// The exit codes, for scripts. Refusals have one per class: see classExits.
const (
	exitDone      = 0 // an agent answered: done
	exitRefused   = 1 // an agent answered: nothing was changed, for a reason of no class this version knows
	exitUsage     = 2 // wrong command line, profile or key: nothing was sent
	exitUnknown   = 3 // sent, and nobody can say what became of it: no answer, or an answer that says so
	exitTransport = 4 // the queue did not confirm the request; what became of it is unknown as well
)

// classExit is the exit code of a refusal for a reason of a class.
type classExit struct {
	class requester.Class
	code  int
	means string
}

// classExits are the exit codes of refusals: an agent answered, and nothing was changed.
func classExits() []classExit {
	return []classExit{
		{requester.ClassEnvelope, 10, "the message itself: the portal's operator"},
		{requester.ClassRequest, 11, "its time and order: try again"},
		{requester.ClassAuth, 12, "how the person was verified: the portal"},
		{requester.ClassUser, 13, "the account: the help desk"},
		{requester.ClassPolicy, 14, "what the agent's administrator allows"},
		{requester.ClassPassword, 15, "the new or the old password: the person types another"},
		{requester.ClassDirectory, 16, "Active Directory: its administrator"},
		{requester.ClassAgent, 17, "the agent: its administrator"},
	}
}

// exitOf returns the exit code of an answer.
func exitOf(verdict requester.Verdict, class requester.Class) int {
	switch verdict {
	case requester.Written, requester.OK:
		return exitDone
	case requester.NotWritten:
		for _, row := range classExits() {
			if row.class == class {
				return row.code
			}
		}
		return exitRefused
	}
	return exitUnknown
}

// exitHelp is the table of exit codes as the help shows it.
func exitHelp() string {
	var b strings.Builder
	b.WriteString(`Exit codes:
  0   done
  2   wrong command line, profile or key: nothing was sent
  3   unknown: no answer came, or the agent cannot say whether its write took effect
  4   the queue did not confirm the request: unknown as well
Refused, and nothing was changed, by the class of the reason (docs/reasons.md), which says who can do something about it:
`)
	for _, row := range classExits() {
		fmt.Fprintf(&b, "  %d  %-9s  %s\n", row.code, row.class, row.means)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
