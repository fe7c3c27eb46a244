package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/password-writeback/writeback/internal/secret"
)

// openTerminal makes a pseudo-terminal: the person's end and the program's end.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { person.Close() })
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

// prompts hands out what is asked, one prompt at a time.
type prompts chan string

func (p prompts) Write(b []byte) (int, error) {
	if text := strings.TrimSpace(string(b)); text != "" {
		p <- text
	}
	return len(b), nil
}

// typeSilently types a line once the echo is off, as a person does who sees the prompt.
func typeSilently(t *testing.T, person, program *os.File, line string) {
	t.Helper()
	for give := time.Now().Add(10 * time.Second); echoes(t, program); time.Sleep(time.Millisecond) {
		if time.Now().After(give) {
			t.Fatal("the terminal still echoes at the prompt")
		}
	}
	if _, err := person.WriteString(line + "\n"); err != nil {
		t.Fatal(err)
	}
}

func TestThePasswordIsTypedWithoutEcho(t *testing.T) {
	person, program := openTerminal(t)
	asked := make(prompts, 8)
	var seen bytes.Buffer
	var lock sync.Mutex
	go func() {
		buffer := make([]byte, 256)
		for {
			n, err := person.Read(buffer)
			lock.Lock()
			seen.Write(buffer[:n])
			lock.Unlock()
			if err != nil {
				return
			}
		}
	}()
	done := make(chan error, 1)
	go func() {
		password, err := readTerminal(context.Background(), asked, int(program.Fd()))
		if err == nil && !password.Equal(secret.NewString(" Grüße 42 ")) {
			err = fmt.Errorf("another password of %d bytes was read", password.Len())
		}
		done <- err
	}()
	for _, want := range []string{"New password:", "Again:"} {
		if got := <-asked; got != want {
			t.Errorf("prompt %q, want %q", got, want)
		}
		typeSilently(t, person, program, " Grüße 42 ")
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if !echoes(t, program) {
		t.Error("the echo is still off")
	}
	lock.Lock()
	defer lock.Unlock()
	if strings.Contains(seen.String(), "Gr") {
		t.Errorf("the terminal showed %q", seen.String())
	}
}

func TestAnInterruptTurnsTheEchoOnAgain(t *testing.T) {
	_, program := openTerminal(t)
	// The read outlives the interrupt (a program would end now) and sets the terminal's state when the terminal goes away. Its descriptor is
	// never closed: another test's terminal could get the same number, and lose its state to this read.
	terminal, err := unix.Dup(int(program.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	asked := make(prompts, 8)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := readTerminal(ctx, asked, terminal)
		done <- err
	}()
	<-asked
	for echoes(t, program) {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-done; err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("%v", err)
	}
	if !echoes(t, program) {
		t.Error("the echo is still off")
	}
}

func TestOnATerminalColoursObeyTheEnvironment(t *testing.T) {
	_, program := openTerminal(t)
	for name, test := range map[string]struct {
		environment map[string]string
		want        bool
	}{
		"plain":          {nil, true},
		"NO_COLOR":       {map[string]string{"NO_COLOR": "1"}, false},
		"empty NO_COLOR": {map[string]string{"NO_COLOR": ""}, true},
		"dumb":           {map[string]string{"TERM": "dumb"}, false},
	} {
		if got := paletteFor(program, func(name string) string { return test.environment[name] }).on; got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestAChangeAsksForTheOldPasswordOnceAndForTheNewOneTwice(t *testing.T) {
	person, program := openTerminal(t)
	asked := make(prompts, 8)
	cmd := newChange()
	cmd.SetContext(t.Context())
	cmd.SetIn(program)
	cmd.SetErr(asked)
	before, after := oldPassword(), newPassword()
	done := make(chan error, 1)
	go func() {
		old, next, err := readBoth(cmd, &before, &after)
		if err == nil && (!old.Equal(secret.NewString("Alt-1")) || !next.Equal(secret.NewString("Neu-2"))) {
			err = fmt.Errorf("other passwords of %d and %d bytes were read", old.Len(), next.Len())
		}
		done <- err
	}()
	for _, step := range []struct{ prompt, typed string }{{"Old password:", "Alt-1"}, {"New password:", "Neu-2"}, {"Again:", "Neu-2"}} {
		if got := <-asked; got != step.prompt {
			t.Errorf("prompt %q, want %q", got, step.prompt)
		}
		typeSilently(t, person, program, step.typed)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}
