package envelope_test

import "os"

func ownerOf(os.FileInfo) uint32 { return 0 }
