package interop_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/internal/lab"
	"github.com/password-writeback/writeback/internal/secret"
	"github.com/password-writeback/writeback/relay/envelope"
)

const senderSources = "../../examples/senders"

// The suites.
const (
	ec1  = "ec-1"
	rsa1 = "rsa-1"
)

// sender is one of the senders that people copy.
type sender struct {
	language string // "" is Go
	source   string // below examples/senders
	suite    string // of the agent's keys and of the portal's
	login    string // the person whom it resets, one for each sender
}

func senders() map[string]sender {
	return map[string]sender{
		"go":     {"", "go/main.go", ec1, "ada"},
		"python": {"python", "python/reset.py", ec1, "ben"},
		"node":   {"node", "node/reset.mjs", ec1, "chloe"},
		"java":   {"java", "java/Reset.java", rsa1, "emil"},
	}
}

// TestSendersAreShort holds what docs/senders.md promises: a sender is read in one go.
func TestSendersAreShort(t *testing.T) {
	for name, s := range senders() {
		text, err := os.ReadFile(filepath.Join(senderSources, s.source))
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines >= 80 {
			t.Errorf("%s has %d lines, not fewer than 80", name, lines)
		}
	}
}

// TestSenders runs the senders against a whole installation of their suite: the queues, the agent's program and the fake directory. The
// sender that is made with the project's own client has to do with either suite.
func TestSenders(t *testing.T) {
	t.Parallel()
	installed := map[string]*installation{ec1: install(t, ec1), rsa1: install(t, rsa1)}
	for name, s := range senders() {
		in := installed[s.suite]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testSender(t, in, in.sender(t, name, s), s.login)
		})
		if s.language != "" {
			t.Run(name+"-verifies", func(t *testing.T) {
				t.Parallel()
				testTricks(t, in, in.sender(t, name, s))
			})
		}
	}
	goSender := senders()["go"]
	t.Run("go-rsa-1", func(t *testing.T) {
		t.Parallel()
		testSender(t, installed[rsa1], installed[rsa1].sender(t, "go", goSender), goSender.login)
	})
	t.Run("go-verifies", func(t *testing.T) {
		t.Parallel()
		testGoVerifies(t, installed[ec1])
	})
}

// testSender sets a password, which then works, and is refused another one.
func testSender(t *testing.T, in *installation, run runner, login string) {
	password := newPassword(`Grüße "\%s' 🔑 `)
	run(t, in.programs, password, 0, "written: ok")
	if code, err := in.directory.Logon(t.Context(), login, secret.NewString(password)); code != "" || err != nil {
		t.Errorf("the new password does not work: %q, %v", code, err)
	}
	run(t, in.programs, newPassword("short")[:9], 1, "not_written: password.too_short")
	if writes := in.directory.Writes(login); writes != 1 {
		t.Errorf("%d writes, want 1", writes)
	}
}

// testTricks puts a program in the place of writeback-send that answers whatever is asked. Only the one good answer may be believed.
func testTricks(t *testing.T, in *installation, run runner) {
	for trick := range tricks() {
		t.Run(trick, func(t *testing.T) {
			folder := standIn(t, in, trick)
			if trick == "none" {
				run(t, folder, newPassword(""), 0, "written: ok")
			} else {
				run(t, folder, newPassword(""), 3, "unknown")
			}
		})
	}
}

// testGoVerifies lets the Go sender, which asks the queues itself, pin another signing key than the agent has: the agent writes and answers,
// and the answer is not believed.
func testGoVerifies(t *testing.T, in *installation) {
	portal := filepath.Join(in.site.Folder, "portal")
	keys, err := envelope.LoadPublicKeys(filepath.Join(portal, "agents.jwks"))
	check(t, err)
	other, err := envelope.GenerateKey(envelope.ES256)
	check(t, err)
	pinned := []envelope.PublicKey{other.Public()}
	for _, key := range keys {
		if key.Use() == envelope.UseSeal {
			pinned = append(pinned, key)
		}
	}
	set, err := envelope.EncodePublicKeys(pinned, lab.Group+"/"+lab.AgentName)
	check(t, err)
	check(t, os.WriteFile(filepath.Join(portal, "others.jwks"), set, 0o600))
	others := *in
	others.profile = "profile-others.json"
	in.writeProfile(t, others.profile, "agents", []string{"others.jwks"})
	s := sender{"", "go/main.go", ec1, "liam"}
	others.sender(t, "go", s)(t, in.programs, newPassword(""), 3, "unknown")
	if writes := in.directory.Writes(s.login); writes != 1 {
		t.Errorf("%d writes: the request itself was good, and an answer must have come", writes)
	}
}

// installation is an agent with its surroundings, and a portal; all keys are of one suite.
type installation struct {
	profile   string // the portal's, by its name in the site's folder portal
	programs  string // folder of the programs
	site      *lab.Site
	directory *lab.Directory
}

// install starts everything; it ends with the test.
func install(t *testing.T, suite string) *installation {
	t.Helper()
	in := &installation{programs: t.TempDir(), profile: "profile.json"}
	const module = "github.com/password-writeback/writeback/"
	build := exec.CommandContext(t.Context(), "go", "build", "-o", in.programs, module+"cmd/writeback-agent", module+"cmd/writeback-send", module+"examples/senders/go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	logger := logrus.New()
	logger.SetOutput(t.Output())
	namespace, err := lab.OpenNamespace(t.Context(), "127.0.0.1:0", logger)
	check(t, err)
	t.Cleanup(func() { check(t, namespace.Close()) })
	in.directory, err = lab.OpenDirectory("")
	check(t, err)
	t.Cleanup(func() { check(t, in.directory.Close()) })
	folder, err := os.MkdirTemp("", "wb") //nolint:usetesting // the agent's socket needs a short path
	check(t, err)
	t.Cleanup(func() { check(t, os.RemoveAll(folder)) })
	in.site, err = lab.NewSite(folder, namespace, in.directory.Domain())
	check(t, err)
	if suite == ec1 {
		check(t, in.site.MakeKeys())
	} else {
		in.makeRSAKeys(t)
	}
	in.addKeys(t)
	in.startAgent(t)
	return in
}

// addKeys adds to the agent's exported keys one of a suite that no sender knows, which is left out, and a key once more, which counts once.
func (in *installation) addKeys(t *testing.T) {
	t.Helper()
	path := filepath.Join(in.site.Folder, "portal", "agents.jwks")
	text, err := os.ReadFile(path)
	check(t, err)
	var set struct {
		Keys []map[string]any `json:"keys"`
	}
	check(t, json.Unmarshal(text, &set))
	agent := lab.Group + "/" + lab.AgentName
	set.Keys = append(set.Keys, set.Keys...)
	set.Keys = append(set.Keys, map[string]any{"kty": "AKP", "alg": "HPKE-7", "use": "enc", "kid": "tomorrow", "pub": "AAAA", "agent": agent})
	text, err = json.Marshal(set)
	check(t, err)
	check(t, os.WriteFile(path, text, 0o600))
}

// makeRSAKeys makes the agent's keys and another one of the portal's, as their commands do with --suite rsa-1.
func (in *installation) makeRSAKeys(t *testing.T) {
	t.Helper()
	store, err := envelope.OpenKeyStore(filepath.Join(in.site.Folder, "state", "keys"))
	check(t, err)
	for _, algorithm := range []envelope.Algorithm{envelope.RSAOAEP256, envelope.PS256} {
		_, err = store.Make(algorithm, envelope.KeyLife{})
		check(t, err)
	}
	set, err := store.PublicSet(lab.Group + "/" + lab.AgentName)
	check(t, err)
	portal := filepath.Join(in.site.Folder, "portal")
	check(t, os.WriteFile(filepath.Join(portal, "agents.jwks"), set, 0o600))

	key, err := envelope.GenerateKey(envelope.PS256)
	check(t, err)
	check(t, envelope.SaveKey(filepath.Join(portal, "rsa-key.jwk"), key))
	pinned, err := envelope.EncodePublicKey(key.Public())
	check(t, err)
	check(t, os.WriteFile(filepath.Join(in.site.Folder, "issuers", "portal.jwk"), pinned, 0o600))
	in.profile = "profile-rsa.json"
	in.writeProfile(t, in.profile, "key", "rsa-key.jwk")
}

// writeProfile writes the portal's profile under another name, with one member changed.
func (in *installation) writeProfile(t *testing.T, name, member string, value any) {
	t.Helper()
	portal := filepath.Join(in.site.Folder, "portal")
	text, err := os.ReadFile(filepath.Join(portal, "profile.json"))
	check(t, err)
	var profile map[string]any
	check(t, json.Unmarshal(text, &profile))
	profile[member] = value
	text, err = json.MarshalIndent(profile, "", "  ")
	check(t, err)
	check(t, os.WriteFile(filepath.Join(portal, name), text, 0o600))
}

func (in *installation) startAgent(t *testing.T) {
	t.Helper()
	program, err := lab.FindProgram(filepath.Join(in.programs, "writeback-agent"), in.site)
	check(t, err)
	agent, err := program.Start(context.WithoutCancel(t.Context()), nil)
	check(t, err)
	t.Cleanup(func() {
		check(t, agent.Stop())
		if text, err := os.ReadFile(in.site.LogPath()); t.Failed() {
			t.Logf("the agent's log (%v):\n%s", err, text)
		}
	})
	check(t, agent.Ready(t.Context()))
}

// runner runs a sender with a password on its standard input, where carriers is the folder of writeback-send, and judges how it ends.
type runner func(t *testing.T, carriers, password string, code int, begins string)

// sender makes a sender's runner.
func (in *installation) sender(t *testing.T, name string, s sender) runner {
	t.Helper()
	source, err := filepath.Abs(filepath.Join(senderSources, s.source))
	check(t, err)
	_, err = os.ReadFile(source) // go test's cache sees what a test reads, not what a child process does
	check(t, err)
	program, args := filepath.Join(in.programs, name), []string{}
	switch s.language {
	case "":
	case "java":
		program, args = interpreter(t, s.language), []string{"-XX:TieredStopAtLevel=1", "-cp", compileJava(t, source), "Reset"}
	default:
		program, args = interpreter(t, s.language), []string{source}
	}
	args = append(args, filepath.Join(in.site.Folder, "portal", in.profile), s.login+"@corp.example.com")
	return func(t *testing.T, carriers, password string, code int, begins string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), longestRun)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = append(os.Environ(), "PATH="+carriers+string(os.PathListSeparator)+os.Getenv("PATH"), "PYTHONDONTWRITEBYTECODE=1")
		cmd.Stdin = strings.NewReader(password + "\n")
		cmd.WaitDelay = 5 * time.Second
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
			t.Fatal(err)
		}
		if cmd.ProcessState.ExitCode() != code || !strings.HasPrefix(stdout.String(), begins) {
			t.Errorf("exit code %d, want %d and %q:\n%s\n%s", cmd.ProcessState.ExitCode(), code, begins, &stdout, &stderr)
		}
	}
}

// compileJava compiles a source once, which "java Reset.java" would do each time it is run.
func compileJava(t *testing.T, source string) (classes string) {
	t.Helper()
	classes = t.TempDir()
	compile := exec.CommandContext(t.Context(), interpreter(t, "java"), "-m", "jdk.compiler/com.sun.tools.javac.Main", "-Xlint:all", "-Werror", "-d", classes, source)
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compile: %v\n%s", err, output)
	}
	return classes
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newPassword makes a password nobody has seen: random digits, which spell no name, behind a beginning.
func newPassword(beginning string) string {
	random, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)) // never fails, see crypto/rand
	return beginning + "Aa1-" + random.String()
}
