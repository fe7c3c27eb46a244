package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/password-writeback/writeback/relay/emulator/internal/broker"
	"github.com/password-writeback/writeback/relay/emulator/internal/store"
)

// open makes a queue that was not there before, kept in the directory if there is one.
func (s *Server) open(d *definition) (*entity, error) {
	e := &entity{Queue: d.Queue, about: d.about, keys: accessKeys(d.Keys), broker: broker.New(d.settings(), s.cfg.Now)}
	if s.dir == nil {
		return e, nil
	}
	text, err := e.definition()
	if err != nil {
		return nil, err
	}
	if e.file, err = s.dir.Create(e.Name, text); err != nil {
		return nil, fmt.Errorf("queue %q cannot be kept: %w", e.Name, err)
	}
	e.broker.Start(e.file)
	return e, nil
}

// load opens the directory, if there is to be one, and brings back the queues that are kept in it. Then it makes those of
// the Config that are not there.
func (s *Server) load() error {
	if s.cfg.Dir != "" {
		dir, err := store.Open(s.cfg.Dir, s.cfg.Sync)
		if err != nil {
			return err
		}
		s.dir = dir
		if err := dir.Load(func() store.Loader { return &past{} }, s.bringBack); err != nil {
			return err
		}
	}
	for _, q := range s.cfg.Queues {
		if _, there := s.queues.find(q.Name); there {
			continue
		}
		e, err := s.open(&definition{Queue: q, about: s.newAbout(q)})
		if err != nil {
			return err
		}
		s.queues.put(e)
	}
	return nil
}

// past is what a file tells of a queue.
type past struct {
	broker.History
	definition []byte
}

// Define makes past a store.Loader.
func (p *past) Define(text []byte) error {
	p.definition = text
	return nil
}

// bringBack makes a queue from its file. What a Config says of it goes before what the file says.
func (s *Server) bringBack(l store.Loader, f *store.File) error {
	p := l.(*past)
	d, err := parseDefinition(p.definition)
	if err != nil {
		return err
	}
	if _, there := s.queues.find(d.Name); there {
		return fmt.Errorf("%w: queue %q is kept in another file as well", store.ErrDamaged, d.Name)
	}
	for _, q := range s.cfg.Queues {
		if strings.EqualFold(q.Name, d.Name) {
			d.Queue, d.DuplicateHistory = q, s.newAbout(q).DuplicateHistory
		}
	}
	e := &entity{Queue: d.Queue, about: d.about, keys: accessKeys(d.Keys), file: f}
	if e.broker, err = p.Queue(e.settings(), s.cfg.Now); err != nil {
		return err
	}
	text, err := e.definition()
	if err != nil {
		return err
	}
	if err := f.Compact(text, e.broker.Snapshot); err != nil {
		return err
	}
	e.broker.Start(f)
	s.queues.put(e)
	return nil
}

// keep writes down how a queue is set.
func (e *entity) keep() error {
	if e.file == nil {
		return nil
	}
	text, err := e.definition()
	if err != nil {
		return err
	}
	return e.file.Define(text)
}

// forget removes what is kept of a queue.
func (e *entity) forget() error {
	if e.file == nil {
		return nil
	}
	return e.file.Remove()
}

// close ends a queue and its keeping.
func (e *entity) close() error {
	e.broker.Close()
	if e.file == nil {
		return nil
	}
	return e.file.Close()
}

// unload closes all queues and the directory.
func (s *Server) unload() error {
	s.admin.Lock()
	defer s.admin.Unlock()
	var faults []error
	for _, e := range s.queues.all() {
		faults = append(faults, e.close())
	}
	if s.dir != nil {
		faults = append(faults, s.dir.Close())
		s.dir = nil
	}
	return errors.Join(faults...)
}

// definitionVersion is the version of keptDefinition.
const definitionVersion = 1

// keptDefinition is a queue as it is written down, in JSON; durations in nanoseconds. Keys are not among it: they belong
// to the Config.
type keptDefinition struct {
	Version            int
	Name               string
	RequiresSession    bool
	LockDuration       time.Duration
	DefaultTTL         time.Duration
	DuplicateWindow    time.Duration
	MaxDeliveryCount   int
	DeadLetterOnExpiry bool
	MaxMessageSize     int
	About              about
}

func (e *entity) definition() ([]byte, error) {
	return json.Marshal(keptDefinition{
		definitionVersion, e.Name, e.RequiresSession, e.LockDuration, e.DefaultTTL, e.DuplicateWindow,
		e.MaxDeliveryCount, e.DeadLetterOnExpiry, e.MaxMessageSize, e.about,
	})
}

func parseDefinition(text []byte) (*definition, error) {
	var k keptDefinition
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&k); err != nil {
		return nil, fmt.Errorf("%w: the definition: %w", store.ErrDamaged, err)
	}
	if k.Version != definitionVersion {
		return nil, fmt.Errorf("the definition has version %d, this program reads version %d", k.Version, definitionVersion)
	}
	q := Queue{
		Name: k.Name, RequiresSession: k.RequiresSession, LockDuration: k.LockDuration, DefaultTTL: k.DefaultTTL,
		DuplicateWindow: k.DuplicateWindow, MaxDeliveryCount: k.MaxDeliveryCount,
		DeadLetterOnExpiry: k.DeadLetterOnExpiry, MaxMessageSize: k.MaxMessageSize,
	}.withDefaults()
	if err := q.validate(); err != nil {
		return nil, fmt.Errorf("%w: the definition: %w", store.ErrDamaged, err)
	}
	return &definition{Queue: q, about: k.About}, nil
}
