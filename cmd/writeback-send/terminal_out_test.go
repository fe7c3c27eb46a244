package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/password-writeback/writeback/relay/requester"
)

func TestProgressIsShownAfterTwoSecondsAndTakenAway(t *testing.T) {
	const clearLine = "\r\x1b[K"
	for took, want := range map[time.Duration]string{
		1900 * time.Millisecond: "",
		2500 * time.Millisecond: clearLine + "waiting for the answer: 2 s" + clearLine,
		3500 * time.Millisecond: clearLine + "waiting for the answer: 2 s" + clearLine + "waiting for the answer: 3 s" + clearLine,
	} {
		synctest.Test(t, func(t *testing.T) {
			var shown bytes.Buffer
			stop := showProgress(context.Background(), &shown)
			time.Sleep(took)
			stop()
			if diff := cmp.Diff(want, shown.String()); diff != "" {
				t.Errorf("%s: %s", took, diff)
			}
		})
	}
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	nothing := func(string) string { return "" }
	if paletteFor(file, nothing).on || paletteFor(&bytes.Buffer{}, nothing).on {
		t.Error("a file is painted")
	}
}

func TestTheVerdictIsPaintedAndNothingElse(t *testing.T) {
	for verdict, want := range map[requester.Verdict]string{
		requester.Written: "\x1b[32mwritten\x1b[0m (", requester.OK: "\x1b[32mok\x1b[0m (",
		requester.NotWritten: "\x1b[31mnot written\x1b[0m (", requester.Unknown: "\x1b[33munknown\x1b[0m (",
	} {
		a, _ := newAnswer(requester.Result{Outcome: requester.Outcome{Verdict: verdict, Reason: requester.ReasonOK}}, nil, 0)
		if got := a.headline(palette{on: true}); !strings.HasPrefix(got, want) || strings.Count(got, "\x1b") != 2 {
			t.Errorf("%q", got)
		}
		if got := a.headline(palette{}); strings.Contains(got, "\x1b") {
			t.Errorf("%q", got)
		}
	}
}
