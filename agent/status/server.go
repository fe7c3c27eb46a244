package status

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"
)

// statusPath is where the report is; its version is the report's.
const statusPath = "/v1/status"

// Bounds on what a local peer can make the server hold or wait for.
const (
	requestTimeout = 5 * time.Second
	idleTimeout    = 30 * time.Second
	maxHeaderBytes = 8 << 10
	closeTimeout   = time.Second
)

// Server answers with reports.
type Server struct {
	// Source makes a report. It is called for each question, by many goroutines, and must not block for long.
	Source func() Report
	// Log receives what goes wrong while answering; nil: nobody.
	Log logrus.FieldLogger
}

// Serve answers on listener until ctx ends, then closes it and returns nil. Any other end is an error.
func (s *Server) Serve(ctx context.Context, listener net.Listener) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      requestTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          log.New(logWriter{s.Log}, "", 0),
	}
	finished := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(finished)
		shutDown(ctx, server)
	})
	err := server.Serve(listener)
	if !cancel() {
		<-finished // Serve returns when the shutdown begins, not when it ends
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// shutDown lets answers under way finish, but not for long: stopping the agent must not wait for whoever looks at it.
func shutDown(ended context.Context, server *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ended), closeTimeout)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close()
	}
}

// handler serves GET (and so HEAD) of the status, and refuses everything else.
func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+statusPath, s.status)
	return http.MaxBytesHandler(mux, 0)
}

func (s *Server) status(w http.ResponseWriter, _ *http.Request) {
	report := s.Source().complete()
	body, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		// Only a public key that is not JSON can cause it.
		http.Error(w, "the report cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(append(body, '\n'))
}

// logWriter passes the lines of net/http's error log on.
type logWriter struct{ log logrus.FieldLogger }

// Write implements io.Writer.
func (w logWriter) Write(line []byte) (int, error) {
	if w.log == nil {
		return io.Discard.Write(line)
	}
	w.log.Warn("status server: " + strings.TrimSpace(string(line)))
	return len(line), nil
}
