package file

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"time"
)

// InDir returns a func for [Serve] that finds the file of a directory that a
// selector is about: by its name, its type, which its extension tells, its size
// and its hashes. Files below that directory, and those whose name begins with a
// dot, are none. The error is fs.ErrNotExist if there is no such file, and
// ErrOtherFile if there are several (RFC 5547 section 8.3.2).
//
// Hashes are kept while a file stays as it is. It may be used by many calls.
func InDir(dir *os.Root) func(ctx context.Context, wanted Description) (*os.File, error) {
	d := &directory{dir: dir, hashed: map[string]hashed{}}
	return d.find
}

type directory struct {
	dir *os.Root

	mu     sync.Mutex // for one at a time reads the files
	hashed map[string]hashed
}

// hashed is what a file was when its hashes were those.
type hashed struct {
	size     int64
	modified time.Time
	hashes   []Hash
}

func (d *directory) find(ctx context.Context, wanted Description) (*os.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := fs.ReadDir(d.dir.FS(), ".")
	if err != nil {
		return nil, err
	}
	found := ""
	for _, e := range entries {
		is, err := d.matches(ctx, wanted.Selector, e)
		switch {
		case err != nil:
			return nil, err
		case is && found != "":
			return nil, fmt.Errorf("%w: %s or %s", ErrOtherFile, found, e.Name())
		case is:
			found = e.Name()
		}
	}
	if found == "" {
		return nil, fs.ErrNotExist
	}
	return d.dir.Open(found)
}

// matches reports whether a file is one that is wanted. It is read only if all else fits.
func (d *directory) matches(ctx context.Context, wanted Selector, e fs.DirEntry) (bool, error) {
	info, err := e.Info()
	if err != nil || !info.Mode().IsRegular() || strings.HasPrefix(e.Name(), ".") {
		return false, nil // it may have gone
	}
	s := Selector{Name: e.Name(), Type: typeOf(e.Name()), Size: info.Size()}
	other := wanted
	other.Hashes = nil
	if !other.isZero() && !other.Matches(s) {
		return false, nil
	}
	if len(wanted.Hashes) > 0 {
		if s.Hashes, err = d.hashes(ctx, e.Name(), info); err != nil {
			return false, err
		}
	}
	return wanted.Matches(s), nil
}

func (d *directory) hashes(ctx context.Context, name string, info fs.FileInfo) ([]Hash, error) {
	if h, ok := d.hashed[name]; ok && h.size == info.Size() && h.modified.Equal(info.ModTime()) {
		return h.hashes, nil
	}
	f, err := d.dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s, err := Describe(name, &reader{ctx, f})
	if err != nil {
		return nil, err
	}
	if len(d.hashed) >= 10_000 {
		clear(d.hashed)
	}
	d.hashed[name] = hashed{info.Size(), info.ModTime(), s.Hashes}
	return s.Hashes, nil
}
