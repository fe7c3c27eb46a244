package emulator

import (
	"fmt"
	"net/http"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/atom"
)

// definition is a queue as the management interface makes it, before there is a broker.
type definition struct {
	Queue
	about
}

// Defaults and limits of queues made by the management interface; those of Service Bus, which differ from the ones for
// queues in a Config only in the lock.
const (
	adminLockDuration  = time.Minute
	adminHistory       = 10 * time.Minute
	adminMaxSize       = 1024
	leastLock          = 5 * time.Second
	mostLock           = 5 * time.Minute
	leastTTL           = time.Second
	leastHistory       = 20 * time.Second
	mostHistory        = 7 * 24 * time.Hour
	mostDeliveries     = 2000
	mostUserMetadata   = 1024
	kilobyte           = 1024
	largestMessageInKB = largestMessageSize / kilobyte
)

func newDefinition(name string, now time.Time) *definition {
	d := &definition{Queue: Queue{Name: name, LockDuration: adminLockDuration}.withDefaults()}
	d.about = about{Status: statusActive, MaxSizeInMegabytes: adminMaxSize, DuplicateHistory: adminHistory, Created: now, Updated: now}
	return d
}

// newAbout is for a queue of a Config.
func (s *Server) newAbout(q Queue) about {
	a := newDefinition(q.Name, s.cfg.Now()).about
	if q.DuplicateWindow > 0 {
		a.DuplicateHistory = q.DuplicateWindow
	}
	return a
}

// apply puts what a client wants in place of the defaults.
func (d *definition) apply(q *atom.Queue) error {
	if err := unavailable(q); err != nil {
		return err
	}
	d.RequiresSession = value(q.RequiresSession, false)
	d.DeadLetterOnExpiry = value(q.DeadLetteringOnMessageExpiration, false)
	d.UserMetadata = value(q.UserMetadata, "")
	if len(d.UserMetadata) > mostUserMetadata {
		return outOfRange("UserMetadata")
	}
	if err := d.applyTimes(q); err != nil {
		return err
	}
	if err := d.applyNumbers(q); err != nil {
		return err
	}
	switch d.Status = value(q.Status, statusActive); d.Status {
	case statusActive, statusDisabled, statusSendDisabled, statusReceiveDisabled:
		return nil
	}
	return outOfRange("Status")
}

func (d *definition) applyTimes(q *atom.Queue) error {
	ttl := atom.Forever
	for _, t := range []struct {
		name        string
		text        *string
		to          *time.Duration
		least, most time.Duration
	}{
		{"LockDuration", q.LockDuration, &d.LockDuration, leastLock, mostLock},
		{"DefaultMessageTimeToLive", q.DefaultMessageTimeToLive, &ttl, leastTTL, atom.Forever},
		{"DuplicateDetectionHistoryTimeWindow", q.DuplicateDetectionHistoryTimeWindow, &d.DuplicateHistory, leastHistory, mostHistory},
	} {
		if t.text == nil {
			continue
		}
		v, err := atom.ParseDuration(*t.text)
		if err != nil {
			return refuse(http.StatusBadRequest, fmt.Sprintf("SubCode=40000. %s: %v", t.name, err))
		}
		if v < t.least || v > t.most {
			return outOfRange(t.name)
		}
		*t.to = v
	}
	if ttl != atom.Forever {
		d.DefaultTTL = ttl
	}
	if value(q.RequiresDuplicateDetection, false) {
		d.DuplicateWindow = d.DuplicateHistory
	}
	return nil
}

func (d *definition) applyNumbers(q *atom.Queue) error {
	deliveries := value(q.MaxDeliveryCount, DefaultMaxDeliveryCount)
	if deliveries < 1 || deliveries > mostDeliveries {
		return outOfRange("MaxDeliveryCount")
	}
	if d.MaxSizeInMegabytes = value(q.MaxSizeInMegabytes, adminMaxSize); d.MaxSizeInMegabytes < 1 {
		return outOfRange("MaxSizeInMegabytes")
	}
	kilobytes := value(q.MaxMessageSizeInKilobytes, DefaultMaxMessageSize/kilobyte)
	if kilobytes < 1 || kilobytes > largestMessageInKB {
		return outOfRange("MaxMessageSizeInKilobytes")
	}
	d.MaxDeliveryCount, d.MaxMessageSize = int(deliveries), int(kilobytes)*kilobyte
	return nil
}

// unavailable refuses what the emulator would have to pretend to do.
func unavailable(q *atom.Queue) error {
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"ForwardTo", value(q.ForwardTo, "") != ""},
		{"ForwardDeadLetteredMessagesTo", value(q.ForwardDeadLetteredMessagesTo, "") != ""},
		{"EnablePartitioning", value(q.EnablePartitioning, false)},
		{"EnableExpress", value(q.EnableExpress, false)},
		{"AutoDeleteOnIdle", !never(q.AutoDeleteOnIdle)},
		{"AuthorizationRules", q.AuthorizationRules != nil && len(q.AuthorizationRules.Rules) > 0},
	} {
		if f.given {
			return refuse(http.StatusBadRequest, "SubCode=40000. The emulator does not have "+f.name+".")
		}
	}
	return nil
}

// never says whether an idle time is the one that does not come.
func never(text *string) bool {
	if text == nil {
		return true
	}
	d, err := atom.ParseDuration(*text)
	return err == nil && d == atom.Forever
}

func outOfRange(name string) *adminError {
	return refuse(http.StatusBadRequest, "SubCode=40000. The value of "+name+" is out of range.")
}

func value[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}

// describe is the part of a queue's description that does not change by itself.
func (e *entity) describe() atom.Queue {
	ttl := e.DefaultTTL
	if ttl == 0 {
		ttl = atom.Forever
	}
	d := atom.Queue{
		LockDuration:                        duration(e.LockDuration),
		MaxSizeInMegabytes:                  ptr(e.about.MaxSizeInMegabytes),
		RequiresDuplicateDetection:          ptr(e.DuplicateWindow > 0),
		RequiresSession:                     ptr(e.RequiresSession),
		DefaultMessageTimeToLive:            duration(ttl),
		DeadLetteringOnMessageExpiration:    ptr(e.DeadLetterOnExpiry),
		DuplicateDetectionHistoryTimeWindow: duration(e.about.DuplicateHistory),
		MaxDeliveryCount:                    ptr(int32(e.MaxDeliveryCount)),
		EnableBatchedOperations:             ptr(true),
		IsAnonymousAccessible:               ptr(false),
		Status:                              ptr(e.about.Status),
		CreatedAt:                           ptr(atom.Time(e.about.Created)),
		UpdatedAt:                           ptr(atom.Time(e.about.Updated)),
		AccessedAt:                          ptr(atom.Time(time.Time{})), // nobody counts
		SupportOrdering:                     ptr(true),
		AutoDeleteOnIdle:                    duration(atom.Forever),
		EnablePartitioning:                  ptr(false),
		EntityAvailabilityStatus:            ptr("Available"),
		EnableExpress:                       ptr(false),
		MaxMessageSizeInKilobytes:           ptr(int64(e.MaxMessageSize / kilobyte)),
	}
	if e.about.UserMetadata != "" {
		d.UserMetadata = ptr(e.about.UserMetadata)
	}
	return d
}

func ptr[T any](v T) *T { return &v }

func duration(d time.Duration) *string { return ptr(atom.FormatDuration(d)) }
