//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package file_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
)

// Who opens a FIFO waits until somebody writes, and it is no file that has a size and a hash: Push says so, and does not
// wait. It follows symbolic links, to a FIFO as well as to a file.
func TestPushDoesNotOpenAFIFO(t *testing.T) {
	ep, err := msrp.New(&msrp.Config{Listen: []string{"none"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ep.Close() })
	dir := t.TempDir()
	fifo, regular := filepath.Join(dir, "fifo"), filepath.Join(dir, "file")
	if err := errors.Join(syscall.Mkfifo(fifo, 0o600), os.WriteFile(regular, []byte("hello"), 0o600),
		os.Symlink(fifo, fifo+".link"), os.Symlink(regular, regular+".link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, fifo + ".link"} {
		failed := make(chan error, 1)
		go func() { // ends with Push
			_, err := file.Push(ep, path, nil)
			failed <- err
		}()
		select {
		case err := <-failed:
			if e, ok := errors.AsType[*fs.PathError](err); !ok || e.Path != path {
				t.Errorf("Push(%s) = %v, want a PathError for it", filepath.Base(path), err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("Push(%s) waits for somebody who writes", filepath.Base(path))
		}
	}
	s, err := file.Push(ep, regular+".link", nil)
	if err != nil {
		t.Fatalf("Push(file.link) = %v", err)
	}
	s.Close()
}
