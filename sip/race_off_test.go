//go:build !race

package sip

const poolMisses = 0
