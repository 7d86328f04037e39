//go:build race

package race

// PoolMisses is how many allocations more an operation may make because of
// the race detector, under which a sync.Pool loses some of what it is given.
const PoolMisses = 16
