package status_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sirupsen/logrus"

	"github.com/password-writeback/writeback/agent/status"
	"github.com/password-writeback/writeback/internal/writeback"
)

// socketPath returns a path for a socket in a folder of the test's own. t.TempDir can be too long for a socket.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "wb") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "run", "agent.sock")
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	listener, err := status.Listen(path, 0o660, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// serve runs a server until the test ends or stop is called, which returns the error of Serve.
func serve(t *testing.T, server *status.Server, path string) (stop func() error) {
	t.Helper()
	listener := listen(t, path)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Serve(ctx, listener) }()
	stopped := false
	stop = func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		return <-done
	}
	t.Cleanup(func() { _ = stop() })
	return stop
}

// client speaks HTTP over the socket, as any local program could.
func client(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
}

func TestFetchReturnsWhatTheSourceReports(t *testing.T) {
	path := socketPath(t)
	serve(t, &status.Server{Source: sick}, path)
	got, err := status.Fetch(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want := sick()
	want.Keys[0].Public = got.Keys[0].Public // compared as text below: indentation is free
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	if compact := strings.Join(strings.Fields(string(got.Keys[0].Public)), ""); compact != `{"kty":"EC"}` {
		t.Errorf("public key = %s", compact)
	}
}

func TestTheJSONForm(t *testing.T) {
	for name, source := range map[string]func() status.Report{
		"sick.json":  sick,
		"empty.json": func() status.Report { return status.Report{} },
	} {
		path := socketPath(t)
		serve(t, &status.Server{Source: source}, path)
		response, err := client(path).Get("http://agent/v1/status")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if err := response.Body.Close(); err != nil {
			t.Fatal(err)
		}
		if got := response.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type = %s", got)
		}
		golden(t, name, string(body))
	}
}

func TestWhatTheServerRefuses(t *testing.T) {
	path := socketPath(t)
	serve(t, &status.Server{Source: healthy}, path)
	for _, c := range []struct {
		method, target, header string
		want                   int
	}{
		{"GET", "/v1/status", "", http.StatusOK},
		{"HEAD", "/v1/status", "", http.StatusOK},
		{"POST", "/v1/status", "", http.StatusMethodNotAllowed},
		{"DELETE", "/v1/status", "", http.StatusMethodNotAllowed},
		{"GET", "/", "", http.StatusNotFound},
		{"GET", "/v1/status/x", "", http.StatusNotFound},
		{"GET", "/debug/pprof/", "", http.StatusNotFound},
		{"GET", "/v1/status", strings.Repeat("x", 64<<10), http.StatusRequestHeaderFieldsTooLarge},
	} {
		request, err := http.NewRequest(c.method, "http://agent"+c.target, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("X-Filling", c.header)
		response, err := client(path).Do(request)
		if err != nil {
			t.Errorf("%s %s: %v", c.method, c.target, err)
			continue
		}
		_ = response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s %s: status %d, want %d", c.method, c.target, response.StatusCode, c.want)
		}
	}
}

func TestStoppingTheServerRemovesTheSocket(t *testing.T) {
	path := socketPath(t)
	stop := serve(t, &status.Server{Source: healthy}, path)
	if _, err := status.Fetch(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Errorf("Serve: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
}

func TestAnAnswerUnderWayIsFinished(t *testing.T) {
	path := socketPath(t)
	asked, goOn := make(chan struct{}), make(chan struct{})
	stop := serve(t, &status.Server{Source: func() status.Report {
		close(asked)
		<-goOn
		return healthy()
	}}, path)
	fetched := make(chan error, 1)
	go func() {
		_, err := status.Fetch(context.Background(), path)
		fetched <- err
	}()
	<-asked
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	close(goOn)
	if err := <-fetched; err != nil {
		t.Errorf("Fetch: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestAPanicOfTheSourceIsContainedAndLogged(t *testing.T) {
	var out bytes.Buffer
	log := logrus.New()
	log.SetOutput(&out)
	path := socketPath(t)
	first := true
	stop := serve(t, &status.Server{Log: log, Source: func() status.Report {
		if first {
			first = false
			panic("odd")
		}
		return healthy()
	}}, path)
	if _, err := status.Fetch(t.Context(), path); err == nil {
		t.Error("a panic became a report")
	}
	if _, err := status.Fetch(t.Context(), path); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "status server: http: panic serving") {
		t.Errorf("log: %s", out.String())
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	listener := listen(t, socketPath(t))
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (&status.Server{Source: healthy}).Serve(t.Context(), listener); err == nil {
		t.Error("served on a closed listener")
	}
}

func TestAReportThatCannotBeEncoded(t *testing.T) {
	path := socketPath(t)
	serve(t, &status.Server{Source: func() status.Report { return status.Report{Keys: []status.Key{{Public: []byte("{")}}} }}, path)
	_, err := status.Fetch(t.Context(), path)
	if err == nil || !strings.Contains(err.Error(), "HTTP status 500") {
		t.Errorf("Fetch: %v", err)
	}
}

// remedyOf returns the hint of an error of Listen.
func remedyOf(err error) string {
	var typed *writeback.Error
	if errors.As(err, &typed) {
		return typed.Hint
	}
	return ""
}
