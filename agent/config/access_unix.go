//go:build !windows

package config

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// private refuses a file that others than its owner may use. systemd hands over credentials with an access list for the
// service's account, which shows as a group-readable mode on files that are nevertheless private.
func private(path string, info fs.FileInfo) *fileError {
	forbidden := fs.FileMode(0o077)
	if folder := os.Getenv("CREDENTIALS_DIRECTORY"); folder != "" && filepath.Dir(path) == filepath.Clean(folder) {
		forbidden = 0o007
	}
	if info.Mode().Perm()&forbidden == 0 {
		return nil
	}
	return &fileError{
		fmt.Sprintf("the secret file is open to others than its owner (mode %04o)", info.Mode().Perm()),
		"Give it to the account the agent runs as (chown) and close it: chmod 0600.",
	}
}

// worldWritable refuses a file everybody may change: whoever can change what the agent trusts is trusted with every password.
func worldWritable(_ string, info fs.FileInfo) *fileError {
	if info.Mode().Perm()&0o002 == 0 {
		return nil
	}
	return &fileError{
		fmt.Sprintf("the file may be changed by everybody (mode %04o)", info.Mode().Perm()),
		"Take the right away: chmod o-w.",
	}
}
