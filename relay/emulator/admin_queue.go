package emulator

import (
	"errors"
	"net/http"
	"strings"

	"github.com/password-writeback/writeback/relay/emulator/internal/atom"
	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
)

// get is a queue's description. For one that does not exist the service answers 200 and a feed without entries, also to
// those who may not read it if it did.
func (a *adminRequest) get() (document, error) {
	e, found := a.queues.find(a.path)
	if !found {
		return encoded(http.StatusOK, kindFeed, atom.NotFound(a.address(a.path), a.cfg.Now()).Encode)
	}
	if err := a.must(mayNotRead); err != nil {
		return document{}, err
	}
	return encoded(http.StatusOK, kindEntry, a.entry(e).Encode)
}

// put makes a queue, or changes the one that is there when the client says that it means to.
func (a *adminRequest) put() (document, error) {
	if err := a.must(mayNotWrite); err != nil {
		return document{}, err
	}
	wanted, err := atom.DecodeQueue(a.Body)
	if err != nil {
		return document{}, err
	}
	a.admin.Lock()
	defer a.admin.Unlock()
	old, found := a.queues.find(a.path)
	switch changing := a.Header.Get("If-Match") == "*"; {
	case a.ctx.Err() != nil:
		return document{}, refuse(http.StatusServiceUnavailable, "The service is closing.")
	case changing && !found:
		return document{}, notThere()
	case changing:
		return a.change(old, wanted)
	case found:
		return document{}, conflict()
	}
	return a.create(wanted)
}

func notThere() *adminError {
	return refuse(http.StatusNotFound, "SubCode=40400. Not Found. The Operation doesn't exist.")
}

func conflict() *adminError {
	return refuse(http.StatusConflict, "SubCode=40900. Conflict. You're requesting an operation that isn't allowed in the "+
		"resource's current state. To know more visit https://aka.ms/sbResourceMgrExceptions.")
}

func (a *adminRequest) create(wanted *atom.Queue) (document, error) {
	if err := validName(a.path); err != nil {
		return document{}, err
	}
	d := newDefinition(a.path, a.cfg.Now())
	if err := d.apply(wanted); err != nil {
		return document{}, err
	}
	e, err := a.open(d)
	if err != nil {
		return document{}, err
	}
	a.queues.put(e)
	return encoded(http.StatusCreated, kindEntry, a.entry(e).Encode)
}

// change replaces all properties that can be changed; those the client leaves out get their defaults.
func (a *adminRequest) change(old *entity, wanted *atom.Queue) (document, error) {
	d := newDefinition(old.Name, a.cfg.Now())
	d.Created = old.about.Created
	if err := d.apply(wanted); err != nil {
		return document{}, err
	}
	for _, fixed := range []struct {
		name    string
		changed bool
	}{
		{"RequiresSession", d.Queue.RequiresSession != old.RequiresSession},
		{"RequiresDuplicateDetection", d.Queue.DuplicateWindow > 0 != (old.DuplicateWindow > 0)},
	} {
		if fixed.changed {
			return document{}, refuse(http.StatusBadRequest,
				"SubCode=40000. The value for the "+fixed.name+" property of an existing Queue cannot be changed.")
		}
	}
	e := *old
	e.Queue, e.about = d.Queue, d.about
	if err := e.keep(); err != nil {
		return document{}, err
	}
	if err := e.broker.Set(e.settings()); err != nil {
		return document{}, err
	}
	a.queues.put(&e)
	a.review(&e)
	return encoded(http.StatusOK, kindEntry, a.entry(&e).Encode)
}

// delete removes a queue with all its messages and detaches its links.
func (a *adminRequest) delete() (document, error) {
	if err := a.must(mayNotDelete); err != nil {
		return document{}, err
	}
	a.admin.Lock()
	defer a.admin.Unlock()
	e, found := a.queues.find(a.path)
	if !found {
		return document{}, notThere()
	}
	a.queues.remove(e)
	err := e.close()
	a.review(e)
	return document{status: http.StatusOK}, errors.Join(err, e.forget())
}

// validName checks the name of a queue to be made: letters, digits, and inside also . - _ and /, at most 260.
func validName(name string) error {
	const most = 260
	const inside = "./-_"
	strange := strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(inside, r)
	})
	if len(name) > most || strings.Trim(name, inside) != name || strange || strings.Contains(name, "//") {
		return refuse(http.StatusBadRequest, "SubCode=40000. '"+name+"' is not a queue name: letters, digits, and between "+
			"them periods, hyphens, underscores and slashes, at most 260 characters.")
	}
	return nil
}

// entry is a queue as the interface shows it.
func (a *adminRequest) entry(e *entity) atom.Entry {
	q := e.describe()
	counts := e.broker.Counts()
	// Microsoft's tools show deferred messages among the active ones, and locked ones have not left the queue either.
	active := counts.Active + counts.Locked + counts.Deferred
	q.CountDetails = atom.NewCounts(active, counts.DeadLettered, counts.Scheduled)
	total, size := int64(active+counts.DeadLettered+counts.Scheduled), sizeOf(e.broker)
	q.MessageCount, q.SizeInBytes = &total, &size
	return atom.Entry{
		ID: a.address(e.Name), Title: e.Name, Author: a.hostname(),
		Published: e.about.Created, Updated: e.about.Updated, Queue: q,
	}
}

func sizeOf(q *broker.Queue) int64 { return q.Bytes() + q.DeadLetter().Bytes() }
