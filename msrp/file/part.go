package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// A part is a file that is not all there. It is under a name that no peer can give
// to a file, for SafeName leaves no dot in front, and which follows from the hash
// of the whole, so that it is found again when the transfer was broken off.
type part struct {
	dir  *os.Root
	name string
	key  string // "" for one that nobody finds again
	f    *os.File

	// writes goes up before each write and after it: it is odd while there is one.
	writes atomic.Int64

	// hashed is what is there, as it was when there had been hashedAt writes.
	hashed   *hashing
	hashedAt int64
}

// partKey returns what finds the part of a file again, from the same peer; "" for
// a file whose hash nobody has said, and where parts cannot be locked.
func partKey(s Selector, peer string) string {
	sum := s.hash(SHA1)
	if sum == nil || !canLock {
		return ""
	}
	key := sha256.Sum256(append(sum, peer...))
	return fmt.Sprintf("%x", key[:16])
}

// openPart opens the part of a file, or makes one. One that another transfer is
// writing is left to that.
func openPart(dir *os.Root, key string) (*part, error) {
	if key != "" {
		if p := takePart(dir, key); p != nil {
			return p, nil
		}
	}
	p := &part{dir: dir, name: "." + rand.Text() + ".part"}
	var err error
	p.f, err = dir.OpenFile(p.name, os.O_RDWR|os.O_CREATE|os.O_EXCL|largeFile, 0o600)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// takePart returns nil for one that cannot be had.
func takePart(dir *os.Root, key string) *part {
	p := &part{dir: dir, name: "." + key + ".part", key: key}
	if info, err := dir.Lstat(p.name); err == nil && !info.Mode().IsRegular() {
		return nil
	}
	var err error
	if p.f, err = dir.OpenFile(p.name, os.O_RDWR|os.O_CREATE|largeFile, 0o600); err != nil {
		return nil
	}
	if lock(p.f) {
		// Whoever had the lock may have finished the file, which has its name by now.
		mine, err1 := p.f.Stat()
		there, err2 := dir.Lstat(p.name)
		if err1 == nil && err2 == nil && os.SameFile(mine, there) {
			return p
		}
	}
	p.f.Close()
	return nil
}

// octets returns how many are there, of a file of this size: at least one is always
// missing, as nothing else says that the file is not all there.
func (p *part) octets(size int64) int64 {
	info, err := p.f.Stat()
	if err != nil || p.key == "" {
		return 0
	}
	if size > 0 {
		return min(info.Size(), size-1)
	}
	return info.Size()
}

// WriteAt writes to the part.
func (p *part) WriteAt(b []byte, off int64) (int, error) {
	p.writes.Add(1)
	defer p.writes.Add(1)
	return p.f.WriteAt(b, off)
}

// hash hashes the first octets, for write. Another transfer may be writing meanwhile.
func (p *part) hash(ctx context.Context, octets int64) error {
	if p.isHashed(octets) {
		return nil
	}
	at := p.writes.Load()
	h, err := hashFirst(ctx, p.f, octets)
	if err == nil {
		p.hashed, p.hashedAt = h, at
	}
	return err
}

// isHashed reports whether the first octets were hashed, and nothing was written since.
func (p *part) isHashed(octets int64) bool {
	return p.hashed != nil && p.hashed.size == octets && p.hashedAt == p.writes.Load()
}

// write returns what writes behind the first octets. Nobody else may be writing any more: a peer can
// send through one transfer while it offers another (RFC 5547 section 8.1).
//
// The error is ErrRange if there are fewer octets.
func (p *part) write(ctx context.Context, octets int64) (h *hashing, err error) {
	if p.isHashed(octets) {
		h, p.hashed = p.hashed, nil
	} else if h, err = hashFirst(ctx, p.f, octets); err != nil {
		return nil, err
	}
	h.to = io.NewOffsetWriter(p, octets)
	return h, nil
}

// finish gives the file, which is all there, its name, and returns that.
func (p *part) finish(name string, size int64) (string, error) {
	err := p.f.Truncate(size)
	if err == nil {
		err = p.f.Sync()
	}
	var f *os.File
	if err == nil {
		f, err = create(p.dir, name)
	}
	if err != nil {
		p.leave()
		return "", err
	}
	name = base(f.Name())
	f.Close()
	// The file of that name is ours, and empty. The lock is held until the part has
	// another name.
	if err := p.dir.Rename(p.name, name); err != nil {
		p.dir.Remove(name)
		p.leave()
		return "", err
	}
	return name, p.f.Close()
}

// leave closes the part. It stays for the next transfer if that can find it.
func (p *part) leave() {
	info, err := p.f.Stat()
	if p.key == "" || err == nil && info.Size() == 0 {
		p.discard()
		return
	}
	p.f.Close()
}

// discard removes the part.
func (p *part) discard() {
	p.dir.Remove(p.name)
	p.f.Close()
}
