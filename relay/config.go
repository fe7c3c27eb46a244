package relay

import (
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
)

// Defaults of [Config].
const (
	DefaultConcurrency    = 16
	DefaultDrain          = 20 * time.Second
	DefaultCancelGrace    = 5 * time.Second
	DefaultRenewBefore    = time.Minute
	DefaultSettleTimeout  = 30 * time.Second
	DefaultSendTimeout    = 30 * time.Second
	DefaultSamplesPerHour = 10
	DefaultSampleAge      = 24 * time.Hour
)

// Config is what a [Loop] works with. The ports and the logger are mandatory; every other zero value means the default.
type Config struct {
	Source  Source
	Sender  Sender
	Handler Handler
	Outbox  Outbox
	Gate    Gate
	Logger  logrus.FieldLogger

	// Concurrency is how many messages may be in hand at once, held ones among them.
	Concurrency int
	// Drain is how long the messages in hand may take to finish after the intake stopped.
	Drain time.Duration
	// CancelGrace is how long handlers may take to return after their context was cancelled.
	CancelGrace time.Duration
	// RenewBefore is the remaining time of a lock below which it is renewed. Where a queue's locks are so short that
	// they would be renewed at once, half of the lock's duration counts instead.
	RenewBefore time.Duration
	// SettleTimeout bounds one settlement and one renewal.
	SettleTimeout time.Duration
	// SendTimeout bounds one try to send a result.
	SendTimeout time.Duration
	// SamplesPerHour is how many discarded messages are kept as dead-letter samples in any one hour. Negative: none.
	SamplesPerHour int
	// SampleAge is how long a sample is kept.
	SampleAge time.Duration
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	setDefault(&c.Concurrency, DefaultConcurrency)
	setDefault(&c.Drain, DefaultDrain)
	setDefault(&c.CancelGrace, DefaultCancelGrace)
	setDefault(&c.RenewBefore, DefaultRenewBefore)
	setDefault(&c.SettleTimeout, DefaultSettleTimeout)
	setDefault(&c.SendTimeout, DefaultSendTimeout)
	setDefault(&c.SamplesPerHour, DefaultSamplesPerHour)
	setDefault(&c.SampleAge, DefaultSampleAge)
	return c
}

func setDefault[T comparable](value *T, fallback T) {
	var zero T
	if *value == zero {
		*value = fallback
	}
}

// validate names everything that is missing or out of range, in one go.
func (c Config) validate() error {
	var faults []error
	for name, missing := range map[string]bool{
		"Source": c.Source == nil, "Sender": c.Sender == nil, "Handler": c.Handler == nil,
		"Outbox": c.Outbox == nil, "Gate": c.Gate == nil, "Logger": c.Logger == nil,
	} {
		if missing {
			faults = append(faults, fmt.Errorf("relay: Config.%s is missing", name))
		}
	}
	for name, negative := range map[string]bool{
		"Concurrency": c.Concurrency < 0, "Drain": c.Drain < 0, "CancelGrace": c.CancelGrace < 0, "RenewBefore": c.RenewBefore < 0,
		"SettleTimeout": c.SettleTimeout < 0, "SendTimeout": c.SendTimeout < 0, "SampleAge": c.SampleAge < 0,
	} {
		if negative {
			faults = append(faults, fmt.Errorf("relay: Config.%s is negative", name))
		}
	}
	return errors.Join(faults...)
}
