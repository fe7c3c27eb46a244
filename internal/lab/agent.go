package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/password-writeback/writeback/relay/envelope"
)

// Program is an agent's executable together with the site it works in.
type Program struct {
	Path string
	Site *Site
}

// FindProgram returns the program at path, which must be an executable file.
func FindProgram(path string, site *Site) (Program, error) {
	found, err := exec.LookPath(path)
	if err != nil {
		return Program{}, fmt.Errorf("the agent's program cannot be run: %w; build it, and name it with --agent", err)
	}
	absolute, err := filepath.Abs(found)
	if err != nil {
		return Program{}, err
	}
	return Program{Path: absolute, Site: site}, nil
}

// Output runs one command of the program to its end, with the site's configuration, and returns its standard output and
// exit code. The error says why the program did not run, or, for a code other than 0, what it wrote to its standard error.
func (p Program) Output(ctx context.Context, args ...string) (stdout []byte, code int, err error) {
	cmd := p.command(ctx, args...)
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	stdout, err = cmd.Output()
	if err != nil {
		err = fmt.Errorf("%s %v: %w: %s", filepath.Base(p.Path), args, err, bytes.TrimSpace(complaint.Bytes()))
	}
	return stdout, cmd.ProcessState.ExitCode(), err
}

func (p Program) command(ctx context.Context, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, p.Path, append(args, "--config", p.Site.ConfigPath())...) //nolint:gosec // the program the user named
}

// MakeKeys makes the agent's keys and stores and returns their public halves, as an administrator would hand them to the portal.
func (p Program) MakeKeys(ctx context.Context) ([]envelope.PublicKey, error) {
	if _, _, err := p.Output(ctx, "keys", "new"); err != nil {
		return nil, err
	}
	set, _, err := p.Output(ctx, "keys", "export")
	if err != nil {
		return nil, err
	}
	if err := p.Site.write(agentKeysFile, set); err != nil {
		return nil, err
	}
	return envelope.ParsePublicKeys(set)
}

// Agent is a running agent process.
type Agent struct {
	Program
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // of the process; read after ended
}

// stopWithin is how long a stopped agent may take: the site's drain and some.
const stopWithin = 10 * time.Second

// Start starts "run". The agent's log is appended to the site's log file and copied to log, if that is not nil. When ctx
// ends the agent is asked to stop, and killed when it does not.
func (p Program) Start(ctx context.Context, log io.Writer) (*Agent, error) {
	file, err := os.OpenFile(p.Site.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd := p.command(ctx, "run")
	cmd.Stdout, cmd.Stderr = file, io.Writer(file)
	if log != nil {
		cmd.Stderr = io.MultiWriter(file, log)
	}
	cmd.Cancel = func() error { return askToStop(cmd.Process) }
	cmd.WaitDelay = stopWithin
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the agent: %w", err), file.Close())
	}
	agent := &Agent{Program: p, cmd: cmd, ended: make(chan struct{})}
	go func() {
		err := cmd.Wait()
		if errors.Is(err, ctx.Err()) {
			err = nil // it was asked to stop, and did
		}
		agent.err = errors.Join(err, file.Close())
		close(agent.ended)
	}()
	return agent, nil
}

// askToStop interrupts a process; where the system has no interrupt for another process (Windows), it is killed.
func askToStop(process *os.Process) error {
	err := process.Signal(os.Interrupt)
	if err == nil || errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return process.Kill()
}

// Ended is closed when the process has ended.
func (a *Agent) Ended() <-chan struct{} { return a.ended }

// Stop asks the agent to stop and waits until it has ended; one that takes too long is killed and reported.
func (a *Agent) Stop() error {
	if err := askToStop(a.cmd.Process); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the agent: %w", err)
	}
	select {
	case <-a.ended:
		return a.err
	case <-time.After(stopWithin):
		return errors.Join(fmt.Errorf("the agent did not stop within %s", stopWithin), a.Kill())
	}
}

// Kill ends the agent at once, without a chance to finish anything, and waits until it is gone.
func (a *Agent) Kill() error {
	err := a.cmd.Process.Kill()
	<-a.ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Pid is the number of the process.
func (a *Agent) Pid() int { return a.cmd.Process.Pid }
