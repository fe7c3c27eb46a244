//go:build !windows

package envelope_test

import (
	"os"
	"syscall"
)

func ownerOf(info os.FileInfo) uint32 { return info.Sys().(*syscall.Stat_t).Uid }
