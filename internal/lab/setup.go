package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/sambalab"
)

// readyWithin bounds the agent's start.
const readyWithin = 20 * time.Second

// setUp starts everything. It returns what was started also when something failed, for close.
func (o DemoOptions) setUp(ctx context.Context, folder string) (*stage, error) {
	s := &stage{}
	var err error
	if s.namespace, err = OpenNamespace(ctx, "127.0.0.1:0", o.Log); err != nil {
		return s, err
	}
	if err = s.open(ctx, o.Samba); err != nil {
		return s, err
	}
	site, err := NewSite(folder, s.namespace, s.directory.Domain())
	if err != nil {
		return s, err
	}
	program, err := FindProgram(o.Agent, site)
	if err != nil {
		return s, err
	}
	keys, err := program.MakeKeys(ctx)
	if err != nil {
		return s, err
	}
	var log io.Writer
	if o.Verbose {
		log = o.Stderr
	}
	if s.agent, err = program.Start(ctx, log); err != nil {
		return s, err
	}
	if err = s.agent.Ready(ctx); err != nil {
		return s, err
	}
	s.portal, err = OpenPortal(ctx, s.namespace, site, keys, o.Log)
	return s, err
}

// open opens the directory.
func (s *stage) open(ctx context.Context, samba *sambalab.Lab) error {
	if samba != nil {
		controller, err := OpenController(ctx, samba)
		if err == nil {
			s.directory = controller
		}
		return err
	}
	fake, err := OpenDirectory("")
	if err == nil { // a nil *Directory would not be a nil directory
		s.directory = fake
	}
	return err
}

// real reports whether the directory is a real controller.
func (s *stage) real() bool {
	_, ok := s.directory.(*Controller)
	return ok
}

// close takes everything down, the agent before what it is connected to.
func (s *stage) close() error {
	// The demonstration may have been interrupted; taking down must not be.
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var faults []error
	if s.portal != nil {
		faults = append(faults, s.portal.Close(ctx))
	}
	if s.agent != nil {
		faults = append(faults, s.agent.Stop())
	}
	if s.namespace != nil {
		faults = append(faults, s.namespace.Close())
	}
	if s.directory != nil {
		faults = append(faults, s.directory.Close())
	}
	for _, reset := range s.resets {
		reset.password.Destroy()
	}
	return errors.Join(faults...)
}

// Ready waits until the agent says that it takes requests.
func (a *Agent) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	if err := a.Until(ctx, Status.Ready); err != nil {
		return fmt.Errorf("the agent did not become ready: %w\nIts log ends with:\n%s", err, a.lastLines())
	}
	return nil
}

// pollEvery is how often the agent is asked while something is waited for.
const pollEvery = 50 * time.Millisecond

// Until asks for the agent's status until it is as wanted. It fails when ctx ends or the agent does.
func (a *Agent) Until(ctx context.Context, wanted func(Status) bool) error {
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		status, err := a.Status(ctx)
		if err == nil && wanted(status) {
			return nil
		}
		select {
		case <-a.ended:
			return errors.Join(errors.New("the agent has ended"), a.err)
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the agent's status did not become as expected: %w", context.Cause(ctx)), err)
		case <-poll.C:
		}
	}
}

// logTail is how much of the agent's log is shown when it does not start.
const logTail = 20

func (a *Agent) lastLines() string {
	text, err := os.ReadFile(a.Site.LogPath())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(len(lines)-logTail, 0):], "\n")
}
