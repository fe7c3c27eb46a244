//go:build !unix

package store

import "os"

// acquire does nothing: the emulator runs in tests and in the lab, and other systems lock in other ways.
func acquire(*os.File) error { return nil }
