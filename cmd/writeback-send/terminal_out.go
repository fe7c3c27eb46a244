package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/term"
)

// isTerminal reports whether somebody watches what is written to w.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// palette paints text, or leaves it alone.
type palette struct{ on bool }

// paletteFor paints only on a terminal that knows colours, and never against NO_COLOR (no-color.org).
func paletteFor(w io.Writer, getenv func(string) string) palette {
	plain := getenv("NO_COLOR") != "" || getenv("TERM") == "dumb"
	if runtime.GOOS == "windows" && getenv("WT_SESSION") == "" {
		plain = true // older consoles show the sequences
	}
	return palette{on: !plain && isTerminal(w)}
}

// The colours of SGR (ECMA-48 section 8.3.117).
const (
	green  = 32
	yellow = 33
	red    = 31
)

func (p palette) paint(colour int, text string) string {
	if !p.on {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, text)
}

// When a person who waits is told that it goes on.
const (
	progressAfter = 2 * time.Second
	progressEvery = time.Second
)

// showProgress tells a terminal that the program waits, once that takes long. stop takes the line away again.
func showProgress(ctx context.Context, to io.Writer) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() { progress(ctx, to) })
	return func() { cancel(); done.Wait() }
}

func progress(ctx context.Context, to io.Writer) {
	const clearLine = "\r\x1b[K"
	started := time.Now()
	timer := time.NewTimer(progressAfter)
	defer timer.Stop()
	shown := false
	for {
		select {
		case <-ctx.Done():
			if shown {
				_, _ = fmt.Fprint(to, clearLine)
			}
			return
		case <-timer.C:
			shown = true
			_, _ = fmt.Fprintf(to, "%swaiting for the answer: %d s", clearLine, int(time.Since(started).Seconds()))
			timer.Reset(progressEvery)
		}
	}
}
