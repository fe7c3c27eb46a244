// Command reasonsdoc writes docs/reasons.md from the table of reasons in internal/writeback, so that the documentation
// cannot drift from what the agent says. Run it with "go generate ./internal/writeback".
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/password-writeback/writeback/internal/writeback"
)

func main() { os.Exit(run(os.Args[1:], os.Stderr)) }

func run(args []string, stderr io.Writer) int {
	flags := flag.NewFlagSet("reasonsdoc", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "docs/reasons.md", "the file to write")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := os.WriteFile(*out, markdown(), 0o644); err != nil { //nolint:gosec // documentation is meant to be read by all
		_, _ = fmt.Fprintln(stderr, err)
		return 1
	}
	return 0
}

const preamble = `# Reasons

<!-- Made by "go generate ./internal/writeback" from internal/writeback/reason_table.go. Do not edit. -->

Every request ends with one of these reasons: in the signed result, the log, the audit and ` + "`writeback-agent status`" + ` alike.
Names are stable: they are never renamed, new ones may be added. A portal shows the person the text it likes; the
sentences here are a start.

*Outcome* is the usual one; a result states its own. *Settlement* is what becomes of the message in the queue:
` + "`complete`" + ` removes it, ` + "`abandon`" + ` gives it back for another delivery, ` + "`discard`" + ` removes it and keeps a few an hour as
dead-letter samples. *Again* says whether the same person trying again may succeed without anybody changing anything.

This version has no quiet mode: it never sends ` + "`policy.quiet_mode`" + `. It is listed so that a portal can be ready for it.
`

func markdown() []byte {
	var out bytes.Buffer
	out.WriteString(preamble)
	class := writeback.Class("")
	for _, row := range writeback.Reasons() {
		if row.Class != class {
			class = row.Class
			_, _ = fmt.Fprintf(&out, "\n## %s\n", heading(class))
		}
		writeRow(&out, row)
	}
	out.WriteString(warnings)
	return out.Bytes()
}

const warnings = `
## Warnings of a check

A ` + "`check`" + ` that ends as ` + "`ok`" + ` may carry these words in ` + "`detail.warnings`" + `. They are for the agent's administrator: what works, and should be looked at.
Words are stable like reasons, and new ones may be added.

| word | means | remedy |
|---|---|---|
| ` + "`history_not_enforced`" + ` | a reset would not be compared with the password history: the controller lacks the policy-hints control | use a newer controller, or accept it: ` + "`policy.hints`" + ` |
| ` + "`immutable_id_not_indexed`" + ` | the user was found by a scan of the whole directory | index ` + "`mS-DS-ConsistencyGuid`" + `, or name users by SID |
| ` + "`may_be_too_recent`" + ` | the minimum age has not passed until ` + "`retry_after`" + `; whether a reset must obey it differs between controllers | wait, or try |
| ` + "`must_change_no_right`" + ` | a reset with must-change would be refused | grant the delegated account writing of ` + "`pwdLastSet`" + ` |
| ` + "`policy_unreadable`" + ` | which password policy applies may not be read, so refusals cannot be explained | let the delegated account read the policies, fine-grained ones too |
| ` + "`rights_unreadable`" + ` | whether the delegated account may reset cannot be seen beforehand | let it read the permissions of the users |
| ` + "`unlock_no_right`" + ` | a locked account would stay locked | grant the delegated account writing of ` + "`lockoutTime`" + ` |

[operations.md](operations.md#2-rights-in-active-directory) says how to grant what is missing.
`

func writeRow(out io.Writer, row writeback.ReasonInfo) {
	_, _ = fmt.Fprintf(out, "\n### `%s`\n\n%s\n\n", row.Reason, row.Meaning)
	_, _ = fmt.Fprintf(out, "* For the person: %s\n* Remedy: %s\n", row.Person, row.Remedy)
	_, _ = fmt.Fprintf(out, "* Outcome: %s · settlement: `%s` · again: %s · event id: %d", outcome(row), row.Settlement, yesNo(row.Retry), row.EventID)
	if row.Detail != "" {
		_, _ = fmt.Fprintf(out, " · detail: `%s`", row.Detail)
	}
	_, _ = fmt.Fprintln(out)
}

func outcome(row writeback.ReasonInfo) string {
	if row.Verdict == "" {
		return "no result is sent"
	}
	return "`" + string(row.Verdict) + "`"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func heading(class writeback.Class) string {
	switch class {
	case writeback.ClassDone:
		return "Done"
	case writeback.ClassEnvelope:
		return "The message (`envelope.*`)"
	case writeback.ClassRequest:
		return "Time and order (`request.*`)"
	case writeback.ClassAuth:
		return "How the person was verified (`auth.*`)"
	case writeback.ClassUser:
		return "The account (`user.*`)"
	case writeback.ClassPolicy:
		return "What the administrator allows (`policy.*`)"
	case writeback.ClassPassword:
		return "The new password (`password.*`)"
	case writeback.ClassDirectory:
		return "Active Directory (`directory.*`)"
	case writeback.ClassAgent:
		return "The agent (`agent.*`)"
	}
	return string(class)
}
