package ua

import (
	"cmp"
	"math"
	"time"
)

const (
	defaultExpires = time.Hour
	maxExpires     = math.MaxUint32 * time.Second
)

func seconds(n uint32) time.Duration { return time.Duration(n) * time.Second }

// askedFor returns what a server is asked for, in whole seconds: an hour for 0, and at least
// one, for none would end what is asked for.
func askedFor(expires time.Duration) time.Duration {
	return min(max(cmp.Or(expires, defaultExpires).Truncate(time.Second), time.Second), maxExpires)
}

// grants brings the options of a server for how long it keeps something in order, in whole
// seconds. longest stands for a most of 0.
func grants(least, most, usual *time.Duration, longest time.Duration) {
	*least = max(cmp.Or(*least, time.Minute).Truncate(time.Second), time.Second)
	*most = min(max(cmp.Or(*most, longest).Truncate(time.Second), *least), maxExpires)
	*usual = min(max(cmp.Or(*usual, defaultExpires).Truncate(time.Second), *least), *most)
}
