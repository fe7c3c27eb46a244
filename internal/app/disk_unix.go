//go:build !windows

package app

import "golang.org/x/sys/unix"

// spaceOf asks the file system that holds folder. Bavail leaves out what is kept for root.
func spaceOf(folder string) (diskSpace, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(folder, &stat); err != nil {
		return diskSpace{}, err
	}
	block := uint64(stat.Bsize)
	return diskSpace{free: stat.Bavail * block, size: stat.Blocks * block, freeFiles: stat.Ffree, files: stat.Files}, nil
}
