// Package logging sets up the agent's log: one line per entry, times in UTC with milliseconds, fields sorted, nothing in an entry
// that could break the line or a terminal, and a [Scrubber] as the last line behind secret.Value for secrets that got into a text.
//
// There is no package-level logger: what needs to log is given a logrus.FieldLogger.
package logging

import (
	"errors"
	"fmt"
	"io"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/writeback"
)

// timeFormat is RFC 3339 with milliseconds; all times are UTC.
const timeFormat = "2006-01-02T15:04:05.000Z"

// Options are the choices of the configuration's log section.
type Options struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// New makes a logger that writes each entry to w with a single Write. An unknown level or format is an error.
func New(w io.Writer, options Options) (logrus.FieldLogger, error) {
	level, err := parseLevel(options.Level)
	if err != nil {
		return nil, err
	}
	inner, err := newFormatter(options.Format)
	if err != nil {
		return nil, err
	}
	logger := logrus.New()
	logger.SetOutput(w)
	logger.SetLevel(level)
	logger.SetFormatter(formatter{inner})
	// Only main may end the process; without this, Fatal would.
	logger.ExitFunc = func(int) {}
	return logger, nil
}

func parseLevel(name string) (logrus.Level, error) {
	switch name {
	case "debug":
		return logrus.DebugLevel, nil
	case "info":
		return logrus.InfoLevel, nil
	case "warn":
		return logrus.WarnLevel, nil
	case "error":
		return logrus.ErrorLevel, nil
	}
	return 0, fmt.Errorf("log level %q is none of debug, info, warn, error", name)
}

func newFormatter(name string) (logrus.Formatter, error) {
	switch name {
	case "text":
		return &logrus.TextFormatter{DisableColors: true, TimestampFormat: timeFormat}, nil
	case "json":
		// Without HTML escaping an LDAP filter stays readable.
		return &logrus.JSONFormatter{TimestampFormat: timeFormat, DisableHTMLEscape: true}, nil
	}
	return nil, fmt.Errorf("log format %q is none of text, json", name)
}

// The fields [WithError] adds.
const (
	FieldReason = "reason" // stable name, see docs/reasons.md
	FieldHint   = "hint"   // what the administrator can do
	FieldCause  = "cause"  // what happened, for developers
)

// WithError adds what an administrator needs to know about err: the reason, the hint and the cause of the outermost
// [writeback.Error] in its chain. An error without one is agent.internal, with itself as the cause. Nil adds nothing.
func WithError(log logrus.FieldLogger, err error) logrus.FieldLogger {
	if err == nil {
		return log
	}
	var typed *writeback.Error
	if !errors.As(err, &typed) {
		typed = writeback.NewError(writeback.AgentInternal, err)
	}
	fields := logrus.Fields{FieldReason: string(typed.Reason), FieldHint: typed.Remedy()}
	if typed.Cause != nil {
		fields[FieldCause] = typed.Cause.Error()
	}
	return log.WithFields(fields)
}
