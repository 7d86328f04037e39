package registrar

import (
	"bufio"
	"container/heap"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/goparley/parley/internal/snapshot"
)

// A Memory is written as snapshots, one of each value and one that says how many
// there are, so that a file that was cut off is known by it.
const (
	savedValue = 'v'
	savedEnd   = 'e'

	savedVersion = 1
	maxSaved     = 16 << 20 // bytes of a value and its key
	savedRoom    = 64       // bytes of these that say when it ends and how long they are
)

// WriteTo writes all values, for ReadFrom of a Memory of the next run: a program
// that is started anew then knows where its users are. Values of before and after a
// change that comes meanwhile are not mixed; to have the last ones, write when the
// layer is closed. What is written has Contacts and Call-IDs, and no passwords.
func (m *Memory) WriteTo(w io.Writer) (n int64, err error) {
	m.mu.RLock()
	now := time.Now()
	all := make([]value, 0, len(m.values))
	for _, v := range m.values {
		if now.Before(v.end) {
			all = append(all, *v)
		}
	}
	m.mu.RUnlock()
	written := &counter{to: w}
	to := bufio.NewWriter(written)
	for i := range all {
		var values snapshot.Writer
		values.Uint(uint64(all[i].end.UnixMilli()))
		values.Text(all[i].key)
		values.Text(string(all[i].bytes))
		if _, err := to.Write(values.Seal(savedValue, savedVersion)); err != nil {
			break // and that of Flush, too
		}
	}
	var end snapshot.Writer
	end.Uint(uint64(len(all)))
	to.Write(end.Seal(savedEnd, savedVersion))
	if err := to.Flush(); err != nil {
		return written.n, fmt.Errorf("write values: %w", err)
	}
	return written.n, nil
}

// A counter counts what is written.
type counter struct {
	to io.Writer
	n  int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.to.Write(b)
	c.n += int64(n)
	return n, err
}

// ReadFrom reads what WriteTo has written, up to EOF, and adds the values whose
// time is not over. A key that has a value keeps it. transaction.ErrSnapshot means
// that it is nothing of the kind, or not all of it, transaction.ErrSnapshotVersion
// that it is of another version of this library, and ErrFull that there is no room;
// then nothing is added.
func (m *Memory) ReadFrom(r io.Reader) (n int64, err error) {
	from := bufio.NewReader(r)
	now := time.Now()
	all, count, size := map[string]*value{}, 0, 0 // those to add, all there are, and bytes
	for {
		data, err := snapshot.Read(from, maxSaved)
		n += int64(len(data))
		if err != nil {
			return n, fmt.Errorf("read values: %w", err)
		}
		if data[0] == savedEnd {
			if err := readEnd(from, data, count); err != nil {
				return n, fmt.Errorf("read values: %w", err)
			}
			return n, m.addAll(all)
		}
		v, err := readValue(data)
		if err != nil {
			return n, fmt.Errorf("read values: %w", err)
		}
		if count++; all[v.key] != nil || !now.Before(v.end) || m.has(v.key) {
			continue // which takes no room
		}
		if size += v.size(); size > m.maxBytes || len(all) >= m.maxKeys {
			return n, fmt.Errorf("read values: %w", ErrFull)
		}
		all[v.key] = v
	}
}

// has reports whether a key has a value.
func (m *Memory) has(key string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.live(key) != nil
}

// readValue reads the value of a snapshot.
func readValue(data []byte) (*value, error) {
	values, err := snapshot.Open(data, savedValue, savedVersion)
	if err != nil {
		return nil, err
	}
	v := &value{end: time.UnixMilli(int64(values.Uint(math.MaxInt64)))}
	v.key = values.Text()
	v.bytes = []byte(values.Text())
	return v, values.Close()
}

// readEnd reads the snapshot that is the last one, of so many values.
func readEnd(from *bufio.Reader, data []byte, count int) error {
	values, err := snapshot.Open(data, savedEnd, savedVersion)
	if err != nil {
		return err
	}
	said := values.Uint(math.MaxInt64)
	if err := values.Close(); err != nil {
		return err
	}
	if _, err := from.ReadByte(); err == nil || said != uint64(count) {
		return snapshot.ErrDamaged
	} else if err != io.EOF {
		return err
	}
	return nil
}

// addAll adds values, or none where they have no room.
func (m *Memory) addAll(all map[string]*value) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sweep(len(m.ends))
	now := time.Now()
	grows := 0
	for key, v := range all {
		if m.values[key] != nil || !now.Before(v.end) { // by now
			delete(all, key)
			continue
		}
		grows += v.size()
	}
	if len(m.values)+len(all) > m.maxKeys || m.bytes+grows > m.maxBytes {
		return fmt.Errorf("read values: %w", ErrFull)
	}
	for key, v := range all {
		m.last++
		v.revision = m.last
		m.values[key] = v
		heap.Push(&m.ends, v)
		m.notify(key)
	}
	m.bytes += grows
	m.arm()
	return nil
}
