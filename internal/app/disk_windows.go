package app

import "golang.org/x/sys/windows"

// spaceOf asks the volume that holds folder. Quotas of the account count; NTFS does not limit the number of files.
func spaceOf(folder string) (space diskSpace, err error) {
	path, err := windows.UTF16PtrFromString(folder)
	if err != nil {
		return space, err
	}
	err = windows.GetDiskFreeSpaceEx(path, &space.free, &space.size, nil)
	return space, err
}
