package file

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// maxCopies is how many files of one name are kept in a directory.
const maxCopies = 999

// create makes a new file for what a peer sends, to be read and written by the
// user alone. Its name is the SafeName of the peer's, or if there is such a
// file, "name (2).ext", and so on. Nothing that is there is opened or followed.
//
// The error is a [*fs.PathError], of fs.ErrExist if there are 999 of that name.
func create(dir *os.Root, name string) (*os.File, error) {
	safe := SafeName(name)
	next := safe
	for n := 2; ; n++ {
		f, err := dir.OpenFile(next, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil || !errors.Is(err, fs.ErrExist) || n > maxCopies {
			return f, err
		}
		next = shorten(safe, fmt.Sprintf(" (%d)", n))
	}
}
