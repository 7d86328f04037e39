//go:build race

package sip

// poolMisses is what a sync.Pool costs under the race detector, which makes it
// lose some of what it is given.
const poolMisses = 8
