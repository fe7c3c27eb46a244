package emulator

import "github.com/password-writeback/writeback/relay/emulator/internal/broker"

// open makes the entity of a definition.
func (s *Server) open(d *definition) (*entity, error) {
	return &entity{Queue: d.Queue, about: d.about, keys: accessKeys(d.Keys), broker: broker.New(d.settings(), s.cfg.Now)}, nil
}

func (e *entity) keep() error   { return nil }
func (e *entity) forget() error { return nil }
