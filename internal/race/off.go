//go:build !race

// Package race tells tests of allocations what the race detector costs.
package race

// PoolMisses is how many allocations more an operation may make because of
// the race detector: none without it.
const PoolMisses = 0
