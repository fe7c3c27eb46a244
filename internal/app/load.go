package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/writeback"
	"github.com/password-writeback/writeback/relay/envelope"
	"github.com/password-writeback/writeback/relay/servicebus"
)

// Load reads the configuration at path as [config.Load] does, and has what it names judged by the room that will use it:
// keys, connection strings, names of containers. All faults come in one run, as a [*config.Faults]. Nothing on this host is
// changed and nobody is contacted.
func Load(path string) (*config.Config, error) {
	cfg, err := config.Load(path)
	if err == nil {
		if found := inspect(cfg, nil); len(found) > 0 {
			return nil, &config.Faults{File: absolute(path), List: found}
		}
		return cfg, nil
	}
	var faults *config.Faults
	if !errors.As(err, &faults) {
		return nil, err
	}
	// What could be read in spite of the faults is looked at all the same.
	if readable, unreadable := config.LoadIdentity(path); unreadable == nil {
		faults.List = append(faults.List, inspect(readable, faults.List)...)
	}
	return nil, faults
}

// absolute names the file as config.Load does.
func absolute(path string) string {
	if full, err := filepath.Abs(path); err == nil {
		return full
	}
	return path
}

// inspect returns the faults that the rooms find in a configuration and that are not known yet.
func inspect(cfg *config.Config, known []config.Fault) []config.Fault {
	in := &inspection{known: known}
	in.connectionStrings(cfg.Relay)
	in.keys(cfg)
	guardRules(cfg, in.add)
	in.keytabs(cfg)
	openLists(cfg.Policy, in.add)
	if len(known) == 0 && len(in.found) == 0 {
		in.wholes(cfg)
	}
	return in.found
}

// inspection collects what the rooms object to.
type inspection struct {
	known []config.Fault // found before
	found []config.Fault
}

// add notes what is wrong with a field, unless the field, or what it is in, is known to be faulty.
func (in *inspection) add(path string, err error) {
	if !in.sound(path) {
		return
	}
	for _, err := range flatten(err) {
		in.found = append(in.found, asFault(path, err))
	}
}

func (in *inspection) sound(path string) bool {
	for _, fault := range in.known {
		rest, within := strings.CutPrefix(path, fault.Path)
		if within && (fault.Path == "" || rest == "" || rest[0] == '.' || rest[0] == '[') {
			return false
		}
	}
	return true
}

// connectionStrings has the queue's room read both strings; it connects only when it is used.
func (in *inspection) connectionStrings(from config.Relay) {
	access := servicebus.AgentConfig{RequestsQueue: from.RequestsQueue, Logger: silent()}
	var err error
	// That a file cannot be read is known already.
	if access.ConnectionString, err = config.ReadSecret(from.ConnectionStringFile); err != nil || !in.sound("relay.requests_queue") {
		return
	}
	defer access.ConnectionString.Destroy()
	alone := dialFaults(access)
	for _, fault := range alone {
		in.add("relay.connection_string_file", fault)
	}
	if access.ResultsConnectionString, err = config.ReadSecret(from.ResultsConnectionStringFile); err != nil {
		return
	}
	defer access.ResultsConnectionString.Destroy()
	for _, fault := range dialFaults(access)[len(alone):] {
		in.add("relay.results_connection_string_file", fault)
	}
}

func dialFaults(access servicebus.AgentConfig) []error {
	agent, err := servicebus.DialAgent(context.Background(), access)
	if err != nil {
		return flatten(err)
	}
	return flatten(agent.Close(context.Background()))
}

// wholes builds the parts that no single field can be blamed for, and throws them away.
func (in *inspection) wholes(cfg *config.Config) {
	_, err := newKeyring(cfg, time.Now)
	in.add("issuers", err)
	_, err = newGuard(cfg)
	in.add("", err)
	directory, err := newDirectory(cfg, &secrets{}, silent())
	if err == nil {
		err = directory.Close()
	}
	in.add("domains", err)
}

// keys looks at the agent's own keys and at those of the portals: each must have one, from a file or pinned by command. That all of them
// have expired or were revoked is no fault of the configuration; the status shows it.
func (in *inspection) keys(cfg *config.Config) {
	configured := ConfiguredKeys(cfg, in.add)
	files, err := ReadKeyFiles(cfg)
	if err != nil {
		in.add("keys_dir", err)
		return
	}
	if err := files.check(time.Now()); err != nil {
		in.add("keys_dir", err)
	}
	for i, issuer := range cfg.Issuers {
		pinned := slices.ContainsFunc(files.Trust.Keys, func(k envelope.TrustedKey) bool { return k.Issuer == issuer.ID })
		if len(issuer.Keys) == 0 && len(configured[issuer.ID]) == 0 && !pinned && issuer.ID != "" {
			in.add(fmt.Sprintf("issuers[%d].keys", i), &writeback.Error{
				Reason: writeback.AgentMisconfigured, Cause: errors.New("no key of this portal is known"),
				Hint: fmt.Sprintf("Pin one (writeback-agent keys trust --issuer %s FILE), or name a file with a public key of the portal (JWK).", issuer.ID),
			})
		}
	}
}

// silent is the logger of parts that are thrown away.
func silent() logrus.FieldLogger {
	log := logrus.New()
	log.SetOutput(io.Discard)
	return log
}

// flatten takes apart what errors.Join joined.
func flatten(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, flatten(one)...)
	}
	return all
}

// asFault says what an error means for a field of the configuration.
func asFault(path string, err error) config.Fault {
	fault := config.Fault{Path: path, Problem: err.Error(), Remedy: "Correct what is named here; config.example.yaml explains every setting."}
	var typed *writeback.Error
	if errors.As(err, &typed) {
		if typed.Hint != "" { // the reason's own remedy is to have the configuration checked
			fault.Remedy = typed.Hint
		}
		if typed.Cause != nil {
			fault.Problem = typed.Cause.Error()
		}
	}
	fault.Problem = strings.TrimPrefix(fault.Problem, "servicebus: ") // the field says better what it is about
	return fault
}

// unreadable is the error of a file that could be read when the configuration was loaded, and no longer can.
func unreadable(field string, err error) error {
	return writeback.NewError(writeback.AgentMisconfigured, fmt.Errorf("%s: %w", field, err))
}

// objections is where an agent that starts collects what inspect would have found: a file may have changed in between.
type objections []error

func (o *objections) add(path string, err error) { *o = append(*o, fmt.Errorf("%s: %w", path, err)) }

func (o *objections) join() error { return errors.Join(*o...) }
