package config

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/password-writeback/writeback/internal/secret"
)

// checker judges the values of a decoded configuration and makes its paths absolute.
type checker struct {
	*report
	dir string // of the configuration file
}

// config checks everything, in the order of the file.
func (c checker) config(cfg *Config) {
	if cfg.Version == 0 {
		c.add("version", "is missing", fmt.Sprintf("Write version: %d.", FormatVersion))
	} else if cfg.Version != FormatVersion {
		c.add("version", "is unknown", fmt.Sprintf("Write version: %d.", FormatVersion))
	}
	c.name("group", cfg.Group, idRule())
	c.agentID(cfg.Agent)
	c.path("state_dir", &cfg.StateDir)
	c.path("keys_dir", &cfg.KeysDir)
	c.relay("relay", &cfg.Relay)
	c.domains(cfg.Domains)
	c.issuers(cfg)
	c.policy("policy", cfg.Policy)
	c.passwordLists("policy", &cfg.Policy)
	c.path("audit.dir", &cfg.Audit.Dir)
	within(c, "audit.max_file_size", cfg.Audit.MaxFileSize, 64*KiB, 10*GiB)
	c.status("status", &cfg.Status)
	oneOf(c, "log.level", cfg.Log.Level, "debug", "info", "warn", "error")
	oneOf(c, "log.format", cfg.Log.Format, "text", "json")
}

// agentID checks the agent's name, which is made from the host's where the file has none.
func (c checker) agentID(id string) {
	if !c.inFile("agent") && !idRule().matches(id) {
		c.add("agent", "the host name is not known, so the agent has no name", "Write agent: and a name. "+idRule().means)
		return
	}
	c.name("agent", id, idRule())
}

func (c checker) relay(path string, relay *Relay) {
	c.secretFile(member(path, "connection_string_file"), &relay.ConnectionStringFile)
	if relay.ResultsConnectionStringFile != "" {
		c.secretFile(member(path, "results_connection_string_file"), &relay.ResultsConnectionStringFile)
	}
	c.name(member(path, "requests_queue"), relay.RequestsQueue, queueRule())
	within(c, member(path, "concurrency"), relay.Concurrency, 1, 256)
	within(c, member(path, "drain"), relay.Drain, time.Second, 5*time.Minute)
}

// policy checks the limits. The bounds on times keep a request's life and skew well below the queue's lock of five minutes,
// on which the promise rests that an unexpired redelivery never follows a write.
func (c checker) policy(path string, policy Policy) {
	oneOf(c, member(path, "hints"), policy.Hints, HintsRequire, HintsWarn, HintsAllow)
	within(c, member(path, "max_request_life"), policy.MaxRequestLife, time.Second, 120*time.Second)
	within(c, member(path, "clock_skew"), policy.ClockSkew, time.Second, 30*time.Second) // the rooms take 0 for their default
	within(c, member(path, "write_timeout"), policy.WriteTimeout, 100*time.Millisecond, 30*time.Second)
	within(c, member(path, "user_budget.failures"), policy.UserBudget.Failures, 1, 100)
	within(c, member(path, "user_budget.per"), policy.UserBudget.Per, time.Minute, 24*time.Hour)
	within(c, member(path, "controller_search"), policy.ControllerSearch, 100*time.Millisecond, time.Minute)
}

// passwordLists makes the names absolute; what the files hold is judged by the room that reads them.
func (c checker) passwordLists(path string, policy *Policy) {
	c.list(member(path, "banned_words_file"), &policy.BannedWordsFile)
	c.list(member(path, "breached_passwords_file"), &policy.BreachedPasswordsFile)
}

func (c checker) list(path string, file *string) {
	if *file == "" {
		return
	}
	c.resolve(file)
	info, err := os.Stat(*file)
	if err != nil {
		c.file(path, *file, "the list", err)
		return
	}
	if refused := worldWritable(*file, info); refused != nil {
		c.add(path, refused.problem, refused.remedy)
	}
}

func (c checker) status(path string, status *Status) {
	socket := member(path, "socket")
	c.path(socket, &status.Socket)
	// sockaddr_un holds 108 bytes on Linux and Windows, 104 elsewhere, the final NUL included.
	if len(status.Socket) > 103 {
		c.add(socket, "the path is too long for a unix socket", "Use a path of at most 103 bytes.")
	}
	if problem := groupProblem(status.Group); problem != "" {
		c.add(member(path, "group"), problem, "Create the group, or write \"\" for the agent's own group.")
	}
}

// name checks a required text against a rule.
func (c checker) name(path, value string, rule rule) {
	switch {
	case value == "":
		c.missing(path, rule.means)
	case !rule.matches(value):
		c.add(path, "not a valid name", rule.means)
	}
}

func (c checker) missing(path, remedy string) { c.add(path, "is missing", remedy) }

// path makes a required path absolute.
func (c checker) path(path string, value *string) {
	if *value == "" {
		c.missing(path, "Write a path.")
		return
	}
	c.resolve(value)
}

// resolve makes a path absolute; relative ones start at the configuration file's folder, so that the file means the same
// whatever the current folder of the process is.
func (c checker) resolve(value *string) {
	if !filepath.IsAbs(*value) {
		*value = filepath.Join(c.dir, *value)
	}
	*value = filepath.Clean(*value)
}

// secretFile checks a required file that holds a secret. Neither the value nor the resolved path is repeated.
func (c checker) secretFile(path string, value *string) { c.hiddenFile(path, value, readSecret) }

// keytabFile does the same for a keytab.
func (c checker) keytabFile(path string, value *string) { c.hiddenFile(path, value, readKeytab) }

func (c checker) hiddenFile(path string, value *string, read func(string) (secret.Value, error)) {
	if *value == "" {
		c.missing(path, "Write the name of a file that holds the secret; the secret itself never stands in the configuration.")
		return
	}
	if err := c.resolveSecret(value); err != nil {
		c.add(path, err.problem, err.remedy)
		return
	}
	content, err := read(*value)
	if err != nil {
		c.add(path, explain(err), remedyFor(err, "the secret file"))
	}
	content.Destroy()
}

// credentialPrefix begins the name of a secret that systemd hands over (LoadCredential=, systemd.exec(5)) in place of a path.
const credentialPrefix = "credential:" //nolint:gosec // the name of a secret, not a secret

// resolveSecret is resolve for a file that holds a secret, which may be one of systemd's credentials.
func (c checker) resolveSecret(value *string) *fileError {
	name, found := strings.CutPrefix(*value, credentialPrefix)
	if !found {
		c.resolve(value)
		return nil
	}
	folder := os.Getenv("CREDENTIALS_DIRECTORY")
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`):
		return &fileError{"not the name of a credential", "Write credential: and the name that the unit's LoadCredential= gives it, without a path."}
	case folder == "":
		return &fileError{"systemd handed no credentials to this process", "Add LoadCredential=NAME:PATH to the unit; to try it by hand, use systemd-run with the same -p LoadCredential=NAME:PATH."}
	}
	*value = filepath.Join(folder, name)
	return nil
}

// file reports the error of reading a file that is not secret.
func (c checker) file(path, file, kind string, err error) {
	if err != nil {
		c.add(path, fmt.Sprintf("%s: %s", file, explain(err)), remedyFor(err, kind))
	}
}

// within checks a number or time against its bounds, both allowed.
func within[T cmp.Ordered](c checker, path string, value, least, most T) {
	if value < least || value > most {
		c.add(path, "is out of range", fmt.Sprintf("Use %s to %s.", bound(least), bound(most)))
	}
}

// bound writes a number or time as people do: 2m, not 2m0s.
func bound(value any) string {
	text := fmt.Sprint(value)
	if _, isTime := value.(time.Duration); !isTime {
		return text
	}
	if whole, found := strings.CutSuffix(text, "m0s"); found {
		text = whole + "m"
	}
	if whole, found := strings.CutSuffix(text, "h0m"); found {
		text = whole + "h"
	}
	return text
}

// oneOf checks a word against the known ones.
func oneOf[T ~string](c checker, path string, value T, known ...T) {
	if !slices.Contains(known, value) {
		c.add(path, "unknown value", "Use one of: "+join(known)+".")
	}
}

// unique reports every value whose key another one had before. field names the part of an element that holds the key; empty
// where the elements are plain. An empty key is no value.
func unique[T any](c checker, path, field string, values []T, key func(T) string) {
	seen := map[string]string{}
	for i, value := range values {
		k, where := key(value), element(path, i)
		if field != "" {
			where = member(where, field)
		}
		if first, repeated := seen[k]; repeated {
			c.add(where, "the same as "+first, "Remove or correct one of them.")
		} else if k != "" {
			seen[k] = where
		}
	}
}

func join[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	return strings.Join(texts, ", ")
}
