package relay

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/password-writeback/writeback/internal/writeback"
)

// settle does to the message what was decided. A failure is counted and told, not repeated: the queue will deliver the message
// again, and the ledger makes that harmless.
func (l *Loop) settle(ctx context.Context, delivery *writeback.Delivery, disposition writeback.Disposition) {
	// Settling goes on when the handlers are cancelled: a message that is given back is served by somebody else at once.
	if disposition.Settlement == writeback.Leave {
		l.tally.settled(disposition.Settlement, nil)
		return
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.config.SettleTimeout)
	defer cancel()
	var err error
	switch disposition.Settlement {
	case writeback.Complete:
		err = l.config.Source.Complete(limited, delivery)
	case writeback.Discard:
		err = l.discard(limited, delivery, disposition.Reason)
	default:
		err = l.config.Source.Abandon(limited, delivery)
	}
	l.tally.settled(disposition.Settlement, err)
	if err != nil {
		l.log.WithError(err).WithFields(map[string]any{
			"settlement": disposition.Settlement, "reason": disposition.Reason, "message_id": printable(delivery.MessageID),
		}).Warn("relay: cannot settle a message; it will be delivered again")
	}
}

// discard removes a message that could not be verified, or keeps it as a sample while there are few of them.
func (l *Loop) discard(ctx context.Context, delivery *writeback.Delivery, reason writeback.Reason) error {
	if !l.samples.allow(time.Now()) {
		return l.config.Source.Complete(ctx, delivery)
	}
	err := l.config.Source.DeadLetter(ctx, delivery, string(reason), writeback.Lookup(reason).Meaning)
	if err == nil {
		l.tally.sampled()
	}
	return err
}

// maxPrinted is the longest message id that a log line shows; an honest one has at most 64 characters.
const maxPrinted = 64

// printable makes a field of an untrusted message fit for a log line.
func printable(field string) string {
	field = strings.ToValidUTF8(field, "?")
	if len(field) > maxPrinted {
		field = field[:maxPrinted] + "..."
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(field, "?"))
}
