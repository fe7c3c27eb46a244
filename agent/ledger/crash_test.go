package ledger_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/password-writeback/writeback/agent/ledger"
)

// crashPath tells the test binary that it is the process to be killed.
const crashPath = "LEDGER_CRASH_TEST_PATH"

// TestCrashChild is the process that TestKilledInTheMiddle kills: it takes requests through their whole life on several
// goroutines and says on its output which step has returned.
func TestCrashChild(t *testing.T) {
	path := os.Getenv(crashPath)
	if path == "" {
		t.Skip("only as a child of TestKilledInTheMiddle")
	}
	b := &bench{T: t, clock: start, options: ledger.Options{Path: path}}
	b.options.Now = b.now
	b.open()
	var out sync.Mutex
	say := func(n int, done string) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf("%d %s\n", n, done)
	}
	var group sync.WaitGroup
	for worker := range 4 {
		group.Go(func() {
			for n := worker; ; n += 4 {
				key := b.claim(n)
				say(n, "claimed")
				b.must(b.BeginWriting(b.Context(), key, b.intent(n), ledger.Budget{}))
				say(n, "writing")
				b.must(b.Finish(b.Context(), key, written(), true, result(key, strconv.Itoa(n))))
				say(n, "done")
			}
		})
	}
	group.Wait()
}

// TestKilledInTheMiddle kills a process in the middle of its work and finds every step that had returned on the disk.
func TestKilledInTheMiddle(t *testing.T) {
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 5 {
		path := filepath.Join(t.TempDir(), "ledger.db")
		said := killedAfter(t, 100+37*round, exec.CommandContext(t.Context(), program, "-test.run=^TestCrashChild$"), path)
		b := &bench{T: t, clock: start, options: ledger.Options{Path: path, LockWait: 10 * time.Second}}
		b.options.Now = b.now
		b.open()
		waiting := strings.Join(messages(t, b.Ledger), " ")
		for n, state := range said {
			got := b.get(b.claims(n).Key()).State
			if rank(got) < rank(state) {
				t.Errorf("request %d is %s after the crash, and was %s before", n, got, state)
			}
			if got == ledger.StateDone && !strings.Contains(" "+waiting+" ", " "+strconv.Itoa(n)+" ") {
				t.Errorf("request %d is done without a result in the outbox", n)
			}
		}
		b.must(b.Close())
	}
}

func rank(s ledger.State) int {
	return map[ledger.State]int{ledger.StateClaimed: 1, ledger.StateWriting: 2, ledger.StateDone: 3}[s]
}

// killedAfter starts the child, kills it after it said so many lines, and returns the last state it said of each request.
func killedAfter(t *testing.T, lines int, child *exec.Cmd, path string) map[int]ledger.State {
	t.Helper()
	child.Env = append(os.Environ(), crashPath+"="+path)
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	said := map[int]ledger.State{}
	scanner := bufio.NewScanner(output)
	for i := 0; scanner.Scan(); i++ {
		if i == lines {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		number, state, ok := strings.Cut(scanner.Text(), " ")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || rank(ledger.State(state)) == 0 {
			if i <= lines {
				t.Fatalf("the child said %q", scanner.Text())
			}
			break // its last line may be cut off
		}
		said[n] = ledger.State(state)
	}
	_ = child.Wait()
	if len(said) == 0 {
		t.Fatal("the child said nothing")
	}
	return said
}
