package app

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/logging"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// secrets knows every secret this process reads from files, so that none of them can be logged, whatever goes wrong
// elsewhere. The zero value is ready to use.
type secrets struct {
	scrubber logging.Scrubber

	mu      sync.Mutex
	forgets []func()
}

// writer returns a writer to w that masks the secrets known at the time of each Write.
func (s *secrets) writer(w io.Writer) io.Writer { return s.scrubber.Writer(w) }

func (s *secrets) add(value secret.Value) {
	forget := s.scrubber.Add(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgets = append(s.forgets, forget)
}

// own adds a secret that lives as long as the agent, and is destroyed with it.
func (s *secrets) own(value secret.Value) {
	s.add(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgets = append(s.forgets, value.Destroy)
}

// forget zeroes everything: nothing is masked any more, and what the agent owned is empty.
func (s *secrets) forget() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, forget := range s.forgets {
		forget()
	}
	s.forgets = nil
	return nil
}

// addConnectionString adds the string and the key in it: whoever shows a key shows it alone.
func (s *secrets) addConnectionString(value secret.Value) {
	s.add(value)
	value.Use(func(plain []byte) {
		for part := range bytes.SplitSeq(plain, []byte(";")) {
			name, key, _ := bytes.Cut(part, []byte("="))
			switch strings.ToLower(string(bytes.TrimSpace(name))) {
			case "sharedaccesskey", "sharedaccesssignature":
				s.addCopy(bytes.TrimSpace(key))
			}
		}
	})
}

func (s *secrets) addCopy(plain []byte) {
	value := secret.New(bytes.Clone(plain))
	defer value.Destroy() // the scrubber has its own copies
	s.add(value)
}

// dialQueue reads the connection strings, opens the agent's end of the queues with them and destroys them.
func dialQueue(ctx context.Context, from config.Relay, known *secrets, log logrus.FieldLogger) (*servicebus.Agent, error) {
	access := servicebus.AgentConfig{RequestsQueue: from.RequestsQueue, Logger: log}
	var err error
	if access.ConnectionString, err = readConnectionString("relay.connection_string_file", from.ConnectionStringFile, known); err != nil {
		return nil, err
	}
	defer access.ConnectionString.Destroy()
	if from.ResultsConnectionStringFile != "" {
		access.ResultsConnectionString, err = readConnectionString("relay.results_connection_string_file", from.ResultsConnectionStringFile, known)
		if err != nil {
			return nil, err
		}
		defer access.ResultsConnectionString.Destroy()
	}
	return servicebus.DialAgent(ctx, access)
}

func readConnectionString(field, path string, known *secrets) (secret.Value, error) {
	value, err := config.ReadSecret(path)
	if err != nil {
		return secret.Value{}, unreadable(field, err)
	}
	known.addConnectionString(value)
	return value, nil
}
