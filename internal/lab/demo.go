package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/sambalab"
)

// DemoOptions are the choices of whoever runs the demonstration.
type DemoOptions struct {
	Agent string // path of writeback-agent
	// Samba is a real controller that holds the people of the demonstration; nil: the fake directory.
	Samba   *sambalab.Lab
	JSON    bool // print the report as one JSON object in place of tables
	Keep    bool // leave the folder behind and name it
	Verbose bool // copy the agent's log to Stderr
	Style   Style
	Stdout  io.Writer
	Stderr  io.Writer
	Log     logrus.FieldLogger // of the lab's own parts
}

// demoWithin bounds the whole demonstration.
const demoWithin = 60 * time.Second

// Demo plays the requests of the demonstration and proves what became of them. It returns nil only if every one of them
// ended as it should.
func Demo(ctx context.Context, options DemoOptions) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, demoWithin, fmt.Errorf("it took longer than %s", demoWithin))
	defer cancel()
	folder, err := os.MkdirTemp("", "writeback-lab-")
	if err != nil {
		return fmt.Errorf("make a folder: %w", err)
	}
	show := &screen{out: options.Stdout, style: options.Style}
	if options.JSON {
		show = &screen{out: io.Discard}
	}
	report := &Report{}
	if options.Keep {
		report.Folder = folder
	} else {
		defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	}
	started := time.Now()
	err = demonstrate(ctx, folder, options, show, report)
	report.Seconds = time.Since(started).Round(time.Millisecond).Seconds()
	if err = errors.Join(err, report.judge()); err != nil {
		report.OK = false
	}
	return errors.Join(err, options.conclude(show, report))
}

// conclude prints what is left to say.
func (o DemoOptions) conclude(show *screen, report *Report) error {
	if o.JSON {
		encoder := json.NewEncoder(o.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(report)
	}
	if report.Folder != "" {
		show.printf("\nKept: %s\n", report.Folder)
	}
	if report.OK {
		show.printf("\n%s\n", show.paint(green, fmt.Sprintf("All %d requests and %d proofs ended as they should, in %.1f s.",
			len(report.Rows), len(report.Proofs), report.Seconds)))
	}
	return show.err
}

// demonstrate sets the stage, plays, and takes it down again.
func demonstrate(ctx context.Context, folder string, options DemoOptions, show *screen, report *Report) (err error) {
	if _, err := FindProgram(options.Agent, nil); err != nil {
		return err
	}
	show.title("A portal, a Service Bus queue, the agent and a directory, all on this machine")
	done := show.waiting("starting")
	stage, err := options.setUp(ctx, folder)
	done()
	defer func() { err = errors.Join(err, stage.close()) }()
	if err != nil {
		return err
	}
	show.printf("  queues     amqp://%s\n  directory  ldaps://%s%s\n  agent      %s, process %d\n",
		stage.namespace.Addr(), stage.directory.Addr(), options.kind(), stage.agent.Path, stage.agent.Pid())

	show.title("Requests, and what the portal sees")
	show.head()
	for i, scene := range stage.scenes() {
		row := stage.playRow(ctx, show, i+1, scene)
		if ctx.Err() != nil {
			return fmt.Errorf("stopped at request %d: %w", row.Number, context.Cause(ctx))
		}
		report.Rows = append(report.Rows, row)
		show.row(row)
	}
	show.title("Proofs, taken from the directory by LDAPS")
	stage.prove(ctx, func(proof Proof) {
		report.Proofs = append(report.Proofs, proof)
		show.proof(proof)
	})
	if ctx.Err() != nil {
		return fmt.Errorf("stopped while proving: %w", context.Cause(ctx))
	}
	return stage.showStatus(ctx, show, report)
}

// playRow plays one scene against the clock.
func (s *stage) playRow(ctx context.Context, show *screen, number int, scene scene) Row {
	defer show.waiting(scene.request)()
	started := time.Now()
	got, err := scene.play(ctx, s)
	row := scene.want.row(number, scene.request, got, time.Since(started), err)
	if s.real() {
		row.Differs = onWindows(scene.request)
	}
	return row
}

// scenes are what this directory is asked for.
func (s *stage) scenes() []scene {
	if controller, ok := s.directory.(*Controller); ok {
		return onSamba(controller.JustSeeded(liam))
	}
	return scenes()
}

// kind says what the directory is.
func (o DemoOptions) kind() string {
	if o.Samba != nil {
		return ", " + o.Samba.Host + ", a Samba domain controller"
	}
	return ""
}

// showStatus lets the agent speak for itself.
func (s *stage) showStatus(ctx context.Context, show *screen, report *Report) error {
	text, _, err := s.agent.Output(ctx, "status")
	// Exit code 1, degraded, is no fault here: the report is what is asked for.
	if len(text) == 0 {
		return err
	}
	show.title("writeback-agent status")
	show.printf("%s", text)
	report.Status, _, err = s.agent.Output(ctx, "status", "--json")
	if !json.Valid(report.Status) {
		report.Status = nil
		return errors.Join(errors.New("status --json did not print JSON"), err)
	}
	return nil
}
