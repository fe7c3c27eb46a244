package app

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/audit"
	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/logging"
)

// Run finds out about what an earlier process left behind, serves until ctx ends, and drains. It returns nil after an
// orderly stop. An Agent runs once.
func (a *Agent) Run(ctx context.Context) error {
	if err := a.begin(ctx); err != nil {
		return unlessStopped(ctx, err)
	}
	err := unlessStopped(ctx, a.pipeline.Recover(ctx))
	if err == nil {
		a.log.WithFields(logrus.Fields{
			"group": a.cfg.Group, "agent": a.cfg.Agent, "version": a.version, "queue": a.queue.Address(),
		}).Info("agent running")
		err = a.serve(ctx)
	}
	a.pipeline.Close()
	a.log.Info("agent stopped")
	return errors.Join(err, a.audit.Append(context.WithoutCancel(ctx), audit.Event{Kind: audit.KindStop}))
}

// begin compares what is remembered with what was recorded, and records the start.
func (a *Agent) begin(ctx context.Context) error {
	a.judgeDisk() // before the first request
	before, err := a.readHistory(ctx)
	if err != nil {
		return err
	}
	if err := a.audit.Append(ctx, audit.Event{Kind: audit.KindStart, Note: "version " + a.version}); err != nil {
		return err
	}
	return a.checkSnapshot(ctx, before)
}

// unlessStopped returns err, except where it only says that ctx has ended.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// serve runs the loop and what accompanies it. The companions end after the loop has drained.
func (a *Agent) serve(ctx context.Context) error {
	beside, end := context.WithCancel(context.WithoutCancel(ctx))
	var companions sync.WaitGroup
	companions.Go(func() { a.pipeline.Maintain(beside) })
	companions.Go(func() { a.monitor(beside) })
	companions.Go(func() { a.watchKeys(beside) })
	companions.Go(func() { a.watchClock(beside, time.Now) })
	companions.Go(func() {
		if err := (&status.Server{Source: a.report, Log: a.log}).Serve(beside, a.listener); err != nil {
			logging.WithError(a.log, err).Error("status is not available until the agent is restarted")
		}
	})
	err := a.loop.Run(ctx)
	end()
	companions.Wait()
	return err
}

// Close gives back everything New opened, the last first. Errors are logged: there is nobody left to act on them.
func (a *Agent) Close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		if err := a.closers[i](); err != nil {
			a.log.WithError(err).Warn("closing")
		}
	}
	a.closers = nil
}

func (a *Agent) onClose(closer func() error) { a.closers = append(a.closers, closer) }

func ignoreClosed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
