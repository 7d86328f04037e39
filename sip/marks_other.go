//go:build !amd64

package sip

const hasAVX2 = false

func markAVX2(*byte, int, *uint64, *uint64) { panic("sip: no vector unit") }
