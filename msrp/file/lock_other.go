//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package file

import "os"

// lock would have nobody else write a part while it is open. Here two transfers of one file at
// the same time do, and what comes of it has the right hash or is removed.
func lock(*os.File) bool { return true }
