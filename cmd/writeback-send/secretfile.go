package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/password-writeback/writeback/relay/requester"
)

// maxSecretFile bounds what is read as a secret, in bytes.
const maxSecretFile = 8 << 10

// readSecretFile reads a secret from a file that, on Unix, only its owner can use. One line end at the end does not belong to it.
func readSecretFile(path string) (requester.Secret, error) {
	file, err := os.Open(path)
	if err != nil {
		return requester.Secret{}, usageError{err.Error(), "correct the path"}
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return requester.Secret{}, usageError{err.Error(), "correct the path"}
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && info.Mode().IsRegular() && mode&0o077 != 0 {
		return requester.Secret{}, usageError{
			fmt.Sprintf("%s has the mode %#o: others than its owner can use it", path, mode), fmt.Sprintf("chmod %o %s", mode&^0o077, path),
		}
	}
	return readSecret(file)
}

// readSecret reads a secret up to the end. Nothing is trimmed but one line end, which editors and echo add.
func readSecret(from io.Reader) (requester.Secret, error) {
	buffer := make([]byte, maxSecretFile+1)
	n, err := io.ReadFull(from, buffer)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		clear(buffer)
		return requester.Secret{}, usageError{fmt.Sprintf("the secret cannot be read: %v", err), "make sure that the file or descriptor can be read"}
	}
	if n > maxSecretFile {
		clear(buffer)
		return requester.Secret{}, usageError{fmt.Sprintf("the secret is longer than %d bytes", maxSecretFile), "make sure that it is the right file"}
	}
	line := bytes.TrimSuffix(buffer[:n], []byte("\n"))
	return requester.NewSecret(bytes.TrimSuffix(line, []byte("\r"))), nil
}

// passwordSource is where a password comes from.
type passwordSource struct {
	flag string // the flags are --flag-file and --flag-fd
	what string // "new password"
	ask  func(ctx context.Context, prompt io.Writer, terminal int) (requester.Secret, error)
	file string
	fd   int // negative: none
}

func newPassword() passwordSource {
	return passwordSource{flag: "password", what: "new password", ask: readTerminal, fd: -1}
}

func oldPassword() passwordSource {
	return passwordSource{flag: "old-password", what: "old password", ask: readTerminalOnce, fd: -1}
}

func (s *passwordSource) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, s.flag+"-file", "", "`file` with the "+s.what+", readable by its owner only")
	cmd.Flags().IntVar(&s.fd, s.flag+"-fd", -1, "file descriptor `number` to read the "+s.what+" from; 0 is the standard input")
}

// read gets the password from the one source chosen; from the terminal where none is.
func (s *passwordSource) read(cmd *cobra.Command) (requester.Secret, error) {
	stdin := cmd.InOrStdin()
	switch {
	case s.file != "" && cmd.Flags().Changed(s.flag+"-fd"):
		return requester.Secret{}, usageError{
			fmt.Sprintf("--%s-file and --%s-fd are both given", s.flag, s.flag), fmt.Sprintf("the %s has one source: leave one of them out", s.what),
		}
	case s.file != "":
		return readSecretFile(s.file)
	case s.fd == 0:
		return readSecret(stdin)
	case s.fd > 0:
		return s.readDescriptor()
	case cmd.Flags().Changed(s.flag + "-fd"):
		return requester.Secret{}, usageError{fmt.Sprintf("--%s-fd is negative", s.flag), "0 is the standard input"}
	}
	terminal, ok := stdin.(*os.File)
	if !ok || !term.IsTerminal(int(terminal.Fd())) {
		return requester.Secret{}, usageError{
			fmt.Sprintf("no %s: the standard input is not a terminal", s.what),
			fmt.Sprintf("use --%s-fd 0 to read it from the standard input, or --%s-file", s.flag, s.flag),
		}
	}
	return s.ask(cmd.Context(), cmd.ErrOrStderr(), int(terminal.Fd()))
}

func (s *passwordSource) readDescriptor() (requester.Secret, error) {
	file := os.NewFile(uintptr(s.fd), s.flag+"-fd")
	if file == nil {
		return requester.Secret{}, usageError{fmt.Sprintf("there is no file descriptor %d", s.fd), fmt.Sprintf("open it: writeback-send ... --%s-fd 3 3<file", s.flag)}
	}
	defer file.Close()
	return readSecret(file)
}

// readBoth reads the old password, then the new one.
func readBoth(cmd *cobra.Command, before, after *passwordSource) (old, next requester.Secret, err error) {
	if before.fd >= 0 && before.fd == after.fd {
		return old, next, usageError{
			fmt.Sprintf("both passwords are to come from the descriptor %d", before.fd), "give each a descriptor or a file of its own",
		}
	}
	if old, err = before.read(cmd); err != nil {
		return old, next, err
	}
	if next, err = after.read(cmd); err != nil {
		old.Destroy()
	}
	return old, next, err
}
