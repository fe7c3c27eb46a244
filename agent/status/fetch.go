package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Bounds on what a client waits for and reads.
const (
	fetchTimeout  = 5 * time.Second
	maxReportSize = 4 << 20
)

// FetchError says why no report could be had, and what to do.
type FetchError struct {
	Socket string
	Remedy string
	Cause  error
}

// Error returns what happened, without the remedy.
func (e *FetchError) Error() string {
	return fmt.Sprintf("no answer from an agent at %s: %v", e.Socket, e.Cause)
}

// Unwrap returns the cause.
func (e *FetchError) Unwrap() error { return e.Cause }

// ExitCode returns [ExitDown]: an agent that does not answer serves nobody.
func (e *FetchError) ExitCode() int { return ExitDown }

// Absent reports whether nobody listens at the socket: no agent runs, or it listens elsewhere. One that hangs, or that this account may not
// ask, is not absent.
func (e *FetchError) Absent() bool {
	if errors.Is(e.Cause, context.DeadlineExceeded) || errors.Is(e.Cause, fs.ErrPermission) {
		return false
	}
	return errors.Is(e.Cause, fs.ErrNotExist) || isRefused(e.Cause)
}

// Fetch asks the agent behind the socket for a report, for at most five seconds. Every error is a [*FetchError].
func Fetch(ctx context.Context, socket string) (Report, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	report, err := fetch(ctx, socket)
	if err != nil {
		return Report{}, &FetchError{Socket: socket, Remedy: remedy(err), Cause: err}
	}
	return report, nil
}

func fetch(ctx context.Context, socket string) (Report, error) {
	transport := &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, socket) },
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// The host is never looked up: every connection goes to the socket.
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://agent"+statusPath, nil)
	if err != nil {
		return Report{}, err
	}
	response, err := client.Do(request)
	if err != nil {
		return Report{}, withoutURL(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return Report{}, fmt.Errorf("answered with HTTP status %d", response.StatusCode)
	}
	return decode(response.Body)
}

// withoutURL takes the made-up address off an error of the HTTP client: it would only puzzle.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// decode reads one report. Members it does not know are those of a newer agent and do not matter.
func decode(body io.Reader) (Report, error) {
	content, err := io.ReadAll(io.LimitReader(body, maxReportSize+1))
	if err != nil {
		return Report{}, err
	}
	if len(content) > maxReportSize {
		return Report{}, errors.New("the answer is too large for a report")
	}
	var report Report
	if err := json.Unmarshal(content, &report); err != nil {
		return Report{}, fmt.Errorf("the answer is no report: %w", err)
	}
	if report.Version != ReportVersion {
		return Report{}, fmt.Errorf("the report has version %d, this program reads %d", report.Version, ReportVersion)
	}
	return report, nil
}

func remedy(err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "The agent hangs: look at its log, then restart it."
	case errors.Is(err, fs.ErrPermission):
		return "Run it as root or as a member of the group in status.group."
	case errors.Is(err, fs.ErrNotExist), isRefused(err):
		return "Start the agent, or name the configuration it runs with: status.socket says where it listens."
	}
	return "Make sure that the agent and this program have the same version, and that status.socket is the agent's."
}

// isRefused reports whether nothing listens, which every system says with another code.
func isRefused(err error) bool {
	var operation *net.OpError
	return errors.As(err, &operation) && operation.Op == "dial"
}
