package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/password-writeback/writeback/relay/requester"
)

// profile is what stays the same from call to call, as a JSON file and as flags.
type profile struct {
	Issuer           string   `json:"issuer,omitempty"`
	Group            string   `json:"group,omitempty"`
	Key              string   `json:"key,omitempty"`
	NextKey          string   `json:"next_key,omitempty"` // made by keys rotate, not in use yet
	Agents           []string `json:"agents,omitempty"`
	ConnectionString string   `json:"connection_string_file,omitempty"`
	ResultsString    string   `json:"results_connection_string_file,omitempty"`
	RequestsQueue    string   `json:"requests_queue,omitempty"`
	ResultsQueue     string   `json:"results_queue,omitempty"`
}

// connection are the flags every sending command has.
type connection struct {
	path    string
	flags   profile
	timeout time.Duration
	json    bool
}

func (c *connection) register(cmd *cobra.Command) {
	c.registerQueues(cmd)
	flags := cmd.Flags()
	flags.StringVar(&c.flags.Issuer, "issuer", "", "this portal's `id`, as the agents know it")
	flags.StringVar(&c.flags.Group, "group", "", "`name` of the agents' group")
	flags.StringVar(&c.flags.Key, "key", "", "`file` with this portal's private signing key (see keys new)")
	flags.StringSliceVar(&c.flags.Agents, "agents", nil, "`file` with agents' public keys (writeback-agent keys export); may be repeated")
	flags.BoolVar(&c.json, "json", false, "print the answer as JSON")
}

// registerQueues registers what is needed to reach the queues, with or without keys.
func (c *connection) registerQueues(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&c.path, "profile", "", "JSON `file` with what stays the same from call to call")
	flags.StringVar(&c.flags.ConnectionString, "connection-string-file", "", "`file` with the Service Bus connection string")
	flags.StringVar(&c.flags.ResultsString, "results-connection-string-file", "", "`file` with another connection string for the results queue")
	flags.StringVar(&c.flags.RequestsQueue, "requests-queue", "", "`name` of the queue the agents listen on")
	flags.StringVar(&c.flags.ResultsQueue, "results-queue", "", "`name` of this portal's results queue")
	flags.DurationVar(&c.timeout, "timeout", time.Minute, "how long to wait for the answer")
}

// waitInFull makes the time to wait as long as an answer may come, which the request itself says and [requester.Carry] heeds.
func (c *connection) waitInFull(cmd *cobra.Command) {
	const longerThanAnyRequest = 24 * time.Hour
	c.timeout = longerThanAnyRequest
	cmd.Flags().Lookup("timeout").DefValue = "until 75 s after the request's expiry"
}

// resolve joins profile and flags and says in one go what is missing of all a portal needs.
func (c *connection) resolve() (profile, error) {
	joined, err := c.join()
	if err != nil {
		return profile{}, err
	}
	return joined, joined.complete()
}

// resolveQueues is resolve for those who hold no keys.
func (c *connection) resolveQueues() (profile, error) {
	joined, err := c.join()
	if err != nil {
		return profile{}, err
	}
	return joined, refuseMissing(joined.missing(forQueues))
}

// join lays the flags over the profile.
func (c *connection) join() (profile, error) {
	var joined profile
	if c.path != "" {
		var err error
		if joined, err = loadProfile(c.path); err != nil {
			return profile{}, err
		}
	}
	if len(c.flags.Agents) > 0 {
		joined.Agents = c.flags.Agents
	}
	for _, field := range joined.texts() {
		if flag := field.of(&c.flags); *flag != "" {
			*field.of(&joined) = *flag
		}
	}
	if c.timeout <= 0 {
		return profile{}, usageError{"--timeout is not positive", "give it as 30s or 2m"}
	}
	return joined, nil
}

// need says who cannot do without a text of a profile.
type need int

const (
	forNobody need = iota
	forPortals
	forQueues // whoever reaches the queues, portals too
)

// text is one text of a profile.
type text struct {
	flag string
	of   func(*profile) *string
	need need
	path bool
}

func (profile) texts() []text {
	return []text{
		{"issuer", func(p *profile) *string { return &p.Issuer }, forPortals, false},
		{"group", func(p *profile) *string { return &p.Group }, forPortals, false},
		{"key", func(p *profile) *string { return &p.Key }, forPortals, true},
		{"next-key", func(p *profile) *string { return &p.NextKey }, forNobody, true},
		{"connection-string-file", func(p *profile) *string { return &p.ConnectionString }, forQueues, true},
		{"results-connection-string-file", func(p *profile) *string { return &p.ResultsString }, forNobody, true},
		{"requests-queue", func(p *profile) *string { return &p.RequestsQueue }, forQueues, false},
		{"results-queue", func(p *profile) *string { return &p.ResultsQueue }, forQueues, false},
	}
}

func (p profile) complete() error {
	missing := p.missing(forPortals, forQueues)
	if len(p.Agents) == 0 {
		missing = append(missing, "--agents")
	}
	return refuseMissing(missing)
}

// missing lists the flags of the texts that are needed and empty.
func (p profile) missing(needed ...need) []string {
	var missing []string
	for _, field := range p.texts() {
		if slices.Contains(needed, field.need) && *field.of(&p) == "" {
			missing = append(missing, "--"+field.flag)
		}
	}
	return missing
}

func refuseMissing(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return usageError{"missing: " + strings.Join(missing, ", "), "give them as flags, or in a --profile (see writeback-send --help)"}
}

// loadProfile reads a profile strictly and makes its paths relative to it.
func loadProfile(path string) (profile, error) {
	loaded, err := readProfile(path)
	if err != nil {
		return profile{}, err
	}
	for _, field := range loaded.texts() {
		if field.path {
			*field.of(&loaded) = beside(path, *field.of(&loaded))
		}
	}
	for i, name := range loaded.Agents {
		loaded.Agents[i] = beside(path, name)
	}
	return loaded, nil
}

// beside makes a path of a profile one of this process.
func beside(profile, name string) string {
	if name == "" || filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(profile), name)
}

// readProfile reads a profile as it stands in its file.
func readProfile(path string) (profile, error) {
	file, err := os.Open(path)
	if err != nil {
		return profile{}, usageError{err.Error(), "correct --profile"}
	}
	defer file.Close()
	decoder := json.NewDecoder(io.LimitReader(file, 1<<20))
	decoder.DisallowUnknownFields()
	var loaded profile
	err = decoder.Decode(&loaded)
	if err == nil && decoder.More() {
		err = errors.New("data after the JSON object")
	}
	if err != nil {
		return profile{}, usageError{fmt.Sprintf("%s: %v", path, err), "a profile is one JSON object; writeback-send --help shows all its members"}
	}
	return loaded, nil
}

// save replaces the file of a profile at once: whoever reads it meets the old one or the new one.
func (p profile) save(path string) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the profile: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return usageError{err.Error(), "correct --profile"}
	}
	draft := path + ".new"
	err = os.WriteFile(draft, append(text, '\n'), info.Mode().Perm())
	if err == nil {
		err = os.Rename(draft, path)
	}
	if err != nil {
		return usageError{fmt.Sprintf("the profile cannot be written: %v", err), "make its folder writable, or write the profile yourself"}
	}
	return nil
}

// dialConfig loads the files a profile names.
func (p profile) dialConfig() (requester.DialConfig, error) {
	config := requester.DialConfig{
		Issuer: p.Issuer, Group: p.Group, RequestsQueue: p.RequestsQueue, ResultsQueue: p.ResultsQueue,
	}
	var err error
	if config.SigningKey, err = requester.LoadSigningKey(p.Key); err != nil {
		return config, err
	}
	for _, path := range p.Agents {
		keys, err := requester.LoadAgents(path)
		if err != nil {
			return config, err
		}
		config.Agents = append(config.Agents, keys...)
	}
	config.ConnectionString, config.ResultsConnectionString, err = p.connectionStrings()
	return config, err
}

// connectionStrings reads them; the second is empty where the first serves both queues.
func (p profile) connectionStrings() (requests, results requester.Secret, err error) {
	if requests, err = readSecretFile(p.ConnectionString); err != nil || p.ResultsString == "" {
		return requests, results, err
	}
	results, err = readSecretFile(p.ResultsString)
	return requests, results, err
}
