package lab

import (
	"context"
	"io"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/internal/writeback"
)

// Want is an expectation.
type Want struct {
	Verdict          writeback.Verdict
	Reason           writeback.Reason
	Replayed, Silent bool
	Possible         string
}

// Got is what came back.
type Got struct {
	Outcome writeback.Outcome
	Silent  bool
	Took    time.Duration
	Err     error
}

// Judge exposes how an answer is judged against what was expected.
func Judge(want Want, got Got) Row {
	return expectation{verdict: want.Verdict, reason: want.Reason, replayed: want.Replayed, silent: want.Silent, possible: want.Possible}.
		row(7, "a request", answer{outcome: got.Outcome, silent: got.Silent}, got.Took, got.Err)
}

// Screen is what writes for people.
type Screen struct{ *screen }

// NewScreen makes one.
func NewScreen(out io.Writer, style Style) Screen { return Screen{&screen{out: out, style: style}} }

// Row writes a row.
func (s Screen) Row(row Row) { s.row(row) }

// Proof writes a proof.
func (s Screen) Proof(proof Proof) { s.proof(proof) }

// Waiting shows progress until done is called.
func (s Screen) Waiting(what string) (done func()) { return s.waiting(what) }

// Err is the first error of writing.
func (s Screen) Err() error { return s.err }

// Verdict sets a report's OK and returns its faults.
func (r *Report) Verdict() error { return r.judge() }

// ShellWord quotes a path for a shell.
func ShellWord(path string) string { return shellWord(path) }

// Prove looks for the traces of one reset in a directory.
func Prove(ctx context.Context, directory *Directory, login string, password secret.Value, mustChange bool) Proof {
	return (&stage{directory: directory}).provePassword(ctx, doneReset{login: login, password: password, mustChange: mustChange})
}

// ProveWrites compares the directory's count of writes.
func ProveWrites(directory *Directory, want int, logins ...string) Proof {
	return (&stage{directory: directory}).proveWrites(context.Background(), "a claim", want, logins...)
}
