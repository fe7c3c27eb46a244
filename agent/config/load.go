package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// maxFileSize bounds the configuration file; real ones are a few KiB.
const maxFileSize = 1 << 20

// Load reads the file at path, fills in the defaults and checks everything, including the files it names. The error is a
// [*Faults] with every fault.
func Load(path string) (*Config, error) {
	loaded, faults := load(path)
	if faults != nil {
		return nil, faults
	}
	return loaded, nil
}

// LoadIdentity reads only who the agent is and where its keys lie: Group, Agent, StateDir and KeysDir. Faults elsewhere do
// not count, because keys are made before a portal's key or a password is at hand. The error is a [*Faults].
func LoadIdentity(path string) (*Config, error) {
	loaded, faults := load(path)
	if faults == nil {
		return loaded, nil
	}
	faults.List = slices.DeleteFunc(faults.List, func(f Fault) bool { return !aboutIdentity(f.Path) })
	if loaded == nil || len(faults.List) > 0 {
		return nil, faults
	}
	return loaded, nil
}

// aboutIdentity reports whether a fault's field matters to [LoadIdentity]; an empty path is the file as a whole.
func aboutIdentity(path string) bool {
	return slices.Contains([]string{"", "version", "group", "agent", "state_dir", "keys_dir"}, path)
}

// load reads and checks the file. With faults in single fields comes what could be read; it is nil if nothing could.
func load(path string) (*Config, *Faults) {
	full, err := filepath.Abs(path)
	if err != nil {
		full = path
	}
	content, err := readBounded(full, maxFileSize, worldWritable)
	if err != nil {
		return nil, &Faults{File: path, List: []Fault{{Problem: explain(err), Remedy: remedyForConfiguration(err)}}}
	}
	return parse(content, full, os.Hostname)
}

// parse is Load for the content of the file at the absolute path, on a host with a name of one's choice.
func parse(content []byte, path string, hostname func() (string, error)) (*Config, *Faults) {
	found := newReport()
	root, fault := syntax(content)
	if fault != nil {
		return nil, &Faults{File: path, List: []Fault{*fault}}
	}
	if fault = version(root); fault != nil {
		return nil, &Faults{File: path, List: []Fault{*fault}}
	}
	loaded := Default()
	decoder{found}.value(root, "", reflect.ValueOf(loaded).Elem())
	loaded.derive(hostname)
	check := checker{report: found, dir: filepath.Dir(path)}
	check.config(loaded)
	return loaded, found.all(path)
}

// syntax parses content into a tree with exactly one document.
func syntax(content []byte) (*yaml.Node, *Fault) {
	documents := yaml.NewDecoder(bytes.NewReader(content))
	var document, second yaml.Node
	err := parseNext(documents, &document)
	switch {
	case errors.Is(err, io.EOF) || err == nil && (len(document.Content) != 1 || isNull(document.Content[0])):
		return nil, &Fault{Problem: "the file is empty", Remedy: "Start from config.example.yaml."}
	case err != nil:
		return nil, syntaxFault(err)
	}
	if err = parseNext(documents, &second); !errors.Is(err, io.EOF) {
		return nil, &Fault{Line: second.Line, Problem: "the file holds more than one YAML document", Remedy: "Remove the line --- and what follows it."}
	}
	return document.Content[0], nil
}

// parseNext parses the next document. yaml.v3 is no longer maintained and has panicked on malformed input before, so a panic
// counts as a syntax error.
func parseNext(documents *yaml.Decoder, into *yaml.Node) (err error) {
	defer func() {
		if recovered := recover(); recovered != nil {
			err = fmt.Errorf("yaml: %v", recovered)
		}
	}()
	return documents.Decode(into)
}

// syntaxFault turns the parser's error into a fault with its line. The parser quotes from the file only in the name of an
// unknown alias, which is what an unquoted password that begins with * looks like.
func syntaxFault(err error) *Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := &Fault{Remedy: "Indent with spaces, not tabs, and put texts with special characters in quotes."}
	if match := regexp.MustCompile(`^line (\d+): `).FindStringSubmatch(text); match != nil {
		fault.Line, _ = strconv.Atoi(match[1])
		text = text[len(match[0]):]
		// yaml.v3 counts lines from 0 in the errors of its parser and from 1 in those of its scanner.
		if regexp.MustCompile(`^did not find expected (key|node content|'|<)`).MatchString(text) {
			fault.Line++
		}
	}
	if strings.Contains(text, "anchor") {
		text = "an alias (*name) without its anchor"
	}
	fault.Problem = "not valid YAML: " + text
	return fault
}

// version looks at the format version before anything else is judged: a file for a newer agent would only seem full of
// unknown fields.
func version(root *yaml.Node) *Fault {
	for i := 0; root.Kind == yaml.MappingNode && i+1 < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		var number int
		if key.Value != "version" || value.Kind != yaml.ScalarNode || value.Decode(&number) != nil || number <= FormatVersion {
			continue
		}
		return &Fault{
			Path: "version", Line: value.Line,
			Problem: fmt.Sprintf("the file has format version %d, this agent reads up to %d", number, FormatVersion),
			Remedy:  "Update the agent, or restore the configuration of the version that is installed.",
		}
	}
	return nil
}

// explain returns the part of err a person needs, without the file's path, which may be a secret in the wrong place.
func explain(err error) string {
	var pathError *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the file does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "the file may not be read"
	case errors.As(err, &pathError):
		return "the file cannot be read: " + pathError.Err.Error()
	}
	return err.Error()
}

// remedyForConfiguration returns what to do about an error of reading the configuration itself.
func remedyForConfiguration(err error) string {
	if errors.Is(err, fs.ErrNotExist) {
		return "Name the configuration with --config, or begin one from config.example.yaml."
	}
	return remedyFor(err, "the configuration file")
}

// remedyFor returns what to do about an error of reading a file of the named kind.
func remedyFor(err error, kind string) string {
	var refused *fileError
	switch {
	case errors.As(err, &refused):
		return refused.remedy
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("Let the account the agent runs as (now: %s) read %s.", account(), kind)
	}
	return fmt.Sprintf("Create %s, or correct its name; a relative name starts at the folder of the configuration file.", kind)
}

// account names the account this process runs as, for the reader of a fault.
func account() string {
	if id := os.Geteuid(); id >= 0 {
		return "uid " + strconv.Itoa(id)
	}
	return os.Getenv("USERNAME")
}
