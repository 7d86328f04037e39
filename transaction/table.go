package transaction

import (
	"hash/maphash"
	"maps"
	"runtime"
	"sync"

	"github.com/goparley/parley/sip/transport"
)

// The tables of a Layer are divided, each part with a lock of its own, so that
// the messages of different calls do not wait for one another. By the branch of
// its request a transaction is in one of the tables, by its Call-ID in one of
// the lines. The hash is seeded, so nobody can choose where they get to.

// table is a part of the transactions. Its lock may be taken under that of a
// transaction, never the other way round.
type table struct {
	alarms *alarms // of these transactions

	mu      sync.Mutex
	clients entries[clientKey, *client]
	byFlow  map[transport.Flow]map[*client]struct{} // those on connections
	servers entries[serverKey, *Server]
}

// line is a part of the calls: what tells the order of their requests and which
// of them came by two paths. Its lock may be taken under that of a table.
type line struct {
	mu      sync.Mutex
	merged  entries[uint64, *Server]   // by the hash of the mergeKey
	waiting entries[string, []*Server] // by Call-ID: a handler runs, and these wait for it
}

// entries are a map that gives memory back when most of it is gone, as that of
// Go does not.
type entries[K comparable, V any] struct {
	m    map[K]V
	most int // entries since the map was made
}

func (e *entries[K, V]) set(key K, value V) {
	if e.m == nil {
		e.m = map[K]V{}
	}
	e.m[key] = value
	e.most = max(e.most, len(e.m))
}

func (e *entries[K, V]) remove(key K) {
	delete(e.m, key)
	if e.most < 256 || len(e.m) > e.most/8 {
		return
	}
	m := make(map[K]V, len(e.m))
	maps.Copy(m, e.m)
	e.m, e.most = m, len(m)
}

// tables are what a Layer has of both.
type tables struct {
	seed   maphash.Seed
	tables []*table // as many as a power of two
	lines  []*line  // as many as tables
}

func newTables() tables {
	n := 4
	for n < 4*runtime.GOMAXPROCS(0) {
		n *= 2
	}
	t := tables{seed: maphash.MakeSeed()}
	for range n {
		t.tables = append(t.tables, &table{
			alarms: newAlarms(),
			byFlow: map[transport.Flow]map[*client]struct{}{},
		})
		t.lines = append(t.lines, new(line))
	}
	return t
}

// table returns where the transactions with a branch are.
func (t *tables) table(branch string) *table {
	return t.tables[maphash.String(t.seed, branch)%uint64(len(t.tables))]
}

// line returns where the requests of a call stand.
func (t *tables) line(callID string) *line {
	return t.lines[maphash.String(t.seed, callID)%uint64(len(t.lines))]
}
