package status_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/password-writeback/writeback/agent/status"
)

// answer makes whatever listens on the socket answer every connection with raw bytes.
func answer(t *testing.T, path, raw string) {
	t.Helper()
	listener := listen(t, path)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(raw))
			_ = conn.Close()
		}
	}()
}

func ok(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func fetchError(t *testing.T, err error) *status.FetchError {
	t.Helper()
	var failed *status.FetchError
	if !errors.As(err, &failed) {
		t.Fatalf("Fetch failed with %T: %v", err, err)
	}
	if failed.ExitCode() != status.ExitDown || failed.Remedy == "" {
		t.Errorf("exit code %d, remedy %q", failed.ExitCode(), failed.Remedy)
	}
	return failed
}

func TestNobodyListens(t *testing.T) {
	path := socketPath(t)
	_, err := status.Fetch(t.Context(), path)
	if failed := fetchError(t, err); !strings.Contains(failed.Error(), path) || !strings.HasPrefix(failed.Remedy, "Start the agent") || !failed.Absent() {
		t.Errorf("%v: %s; absent: %t", failed, failed.Remedy, failed.Absent())
	}
}

func TestTheRemedyFitsTheFailure(t *testing.T) {
	expired, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	path := socketPath(t)
	answer(t, path, "")
	_, err := status.Fetch(expired, path)
	if failed := fetchError(t, err); !strings.HasPrefix(failed.Remedy, "The agent hangs") || failed.Absent() {
		t.Errorf("%v: %s; absent: %t", failed, failed.Remedy, failed.Absent())
	}
	_, err = status.Fetch(t.Context(), path)
	if failed := fetchError(t, err); !strings.HasPrefix(failed.Remedy, "Make sure") || failed.Absent() {
		t.Errorf("%v: %s; absent: %t", failed, failed.Remedy, failed.Absent())
	}
}

func TestAnswersThatAreNoReports(t *testing.T) {
	for name, c := range map[string]struct{ raw, want string }{
		"nothing":          {"", "EOF"},
		"not HTTP":         {"hello\r\n\r\n", "malformed HTTP"},
		"not found":        {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"},
		"a redirect":       {"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\nContent-Length: 0\r\n\r\n", "HTTP status 302"},
		"not JSON":         {ok("hello"), "the answer is no report"},
		"wrong types":      {ok(`{"version":"1"}`), "the answer is no report"},
		"a later version":  {ok(`{"version":2}`), "version 2, this program reads 1"},
		"no version":       {ok(`{}`), "version 0"},
		"too large":        {ok(`{"version":1}` + strings.Repeat(" ", 4<<20)), "too large"},
		"cut off":          {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "unexpected EOF"},
		"enormous headers": {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", "header"},
	} {
		path := socketPath(t)
		answer(t, path, c.raw)
		_, err := status.Fetch(t.Context(), path)
		if failed := fetchError(t, err); !strings.Contains(failed.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, failed, c.want)
		}
	}
}

func TestAMemberOfANewerAgentIsIgnored(t *testing.T) {
	path := socketPath(t)
	answer(t, path, ok(`{"version":1,"overall":"ok","new":{"x":1}}`))
	if report, err := status.Fetch(t.Context(), path); err != nil || report.ExitCode() != status.ExitHealthy {
		t.Errorf("report %+v, %v", report, err)
	}
}

func TestAnAgentThatHangs(t *testing.T) {
	path := socketPath(t)
	listener := listen(t, path)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		conn, err := listener.Accept() // asked, and silent
		if err == nil {
			defer func() { _ = conn.Close() }()
		}
		cancel(errors.New("enough"))
		<-ctx.Done()
	}()
	_, err := status.Fetch(ctx, path)
	_ = fetchError(t, err)
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		t.Errorf("waited for the whole time: %v", err)
	}
}

func FuzzFetch(f *testing.F) {
	f.Add(ok(`{"version":1}`))
	f.Add(ok(`{"version":1,"conditions":[{"name":"x","severity":"down"}],"keys":[{"public":{}}]}`))
	f.Add("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, raw string) {
		path := socketPath(t)
		answer(t, path, raw)
		report, err := status.Fetch(t.Context(), path)
		if err == nil {
			_ = report.WriteTable(&strings.Builder{}, true)
		}
	})
}
