package lab_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/config"
	"github.com/password-writeback/writeback/internal/lab"
)

// serve runs a lab in the background and returns what it has printed once it is up, and what stops it.
func serve(t *testing.T, options lab.ServeOptions) (guide string, stop func() error) {
	t.Helper()
	out := &output{complete: make(chan struct{})}
	options.QueueAddr, options.DirectoryAddr = "127.0.0.1:0", "localhost:0"
	options.Stdout, options.Log = out, quiet(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- lab.Serve(ctx, options) }()
	select {
	case <-out.complete:
	case err := <-ended:
		t.Fatalf("the lab ended: %v", err)
	case <-time.After(20 * time.Second):
		t.Fatalf("the lab does not come up:\n%s", out.String())
	}
	return out.String(), func() error {
		cancel()
		return <-ended
	}
}

// output collects what is printed, and knows the guide's last line.
type output struct {
	mu       sync.Mutex
	text     bytes.Buffer
	done     bool
	complete chan struct{}
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if bytes.Contains(b, []byte("nadia")) && !o.done {
		o.done = true
		defer close(o.complete)
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func TestServeTellsWhatToType(t *testing.T) {
	t.Parallel()
	guide, stop := serve(t, lab.ServeOptions{})
	found := regexp.MustCompile(`writeback-agent run --config (\S+)`).FindStringSubmatch(guide)
	if found == nil {
		t.Fatalf("the guide does not say how to run an agent:\n%s", guide)
	}
	if _, err := config.Load(found[1]); err != nil {
		t.Errorf("the configuration it names is faulty: %v", err)
	}
	profile := regexp.MustCompile(`writeback-send ping --profile (\S+)`).FindStringSubmatch(guide)
	if profile == nil {
		t.Fatalf("the guide does not say how to send:\n%s", guide)
	}
	if _, err := os.Stat(profile[1]); err != nil {
		t.Errorf("the profile it names: %v", err)
	}
	check(t, stop())
	if _, err := os.Stat(filepath.Dir(found[1])); !os.IsNotExist(err) {
		t.Errorf("the temporary folder is left behind: %v", err)
	}
}

func TestServeKeepsANamedFolder(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "my lab")
	guide, stop := serve(t, lab.ServeOptions{Folder: folder})
	if want := "--config '" + filepath.Join(folder, "config.yaml") + "'"; !strings.Contains(guide, want) {
		t.Errorf("the guide lacks %s:\n%s", want, guide)
	}
	check(t, stop())
	if _, err := os.Stat(filepath.Join(folder, "config.yaml")); err != nil {
		t.Errorf("a folder that was named should stay: %v", err)
	}
	// What is in it belongs to a lab that is gone.
	err := lab.Serve(t.Context(), lab.ServeOptions{QueueAddr: "127.0.0.1:0", DirectoryAddr: "127.0.0.1:0", Folder: folder, Stdout: new(bytes.Buffer), Log: quiet(t)})
	if err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("got %v, want a refusal of a folder that is not empty", err)
	}
}

func TestServeNamesProgramsThatAreThere(t *testing.T) {
	t.Parallel()
	programs := filepath.Dir(play(t, "true").Path)
	check(t, os.Rename(filepath.Join(programs, "agent"), filepath.Join(programs, "writeback-agent")))
	guide, stop := serve(t, lab.ServeOptions{Programs: programs})
	check(t, stop())
	if want := "  " + filepath.Join(programs, "writeback-agent") + " run"; !strings.Contains(guide, want) {
		t.Errorf("the guide lacks %q:\n%s", want, guide)
	}
	if !strings.Contains(guide, "\n  writeback-send ping") {
		t.Errorf("a program that is not beside should be looked for on the PATH:\n%s", guide)
	}
}

func TestServeStaysOnLoopback(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"0.0.0.0:0", ":5672", "192.0.2.1:5672", "[::]:0", "example.com:5672", "127.0.0.1"} {
		for _, options := range []lab.ServeOptions{{QueueAddr: addr, DirectoryAddr: "127.0.0.1:0"}, {QueueAddr: "127.0.0.1:0", DirectoryAddr: addr}} {
			options.Stdout, options.Log = new(bytes.Buffer), quiet(t)
			// Were it accepted, the lab would run until this.
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if err := lab.Serve(ctx, options); err == nil || !strings.Contains(err.Error(), addr) {
				t.Errorf("%+v: got %v, want a refusal that names the address", options, err)
			}
			cancel()
		}
	}
}
