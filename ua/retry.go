package ua

import (
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/goparley/parley/sip"
)

// refreshIn returns when to refresh a binding: at 90 % of its life, 5 s before
// its end at the latest, and up to a tenth earlier, so that a thousand agents
// do not come at once.
func refreshIn(life time.Duration) time.Duration {
	d := life / 10 * 9
	if life > 10*time.Second {
		d = min(d, life-5*time.Second)
	}
	return max(d-mathrand.N(d/10+1), time.Second)
}

// leastRefresh is how long it takes at least from one refresh to the next, of what was asked
// for so long: 5 s, unless the program itself asks for little. What a server grants for less
// expires, and is made anew.
func leastRefresh(asked time.Duration) time.Duration { return min(5*time.Second, asked/2) }

// maxRetry is how long a registration that fails waits at most to be tried again (RFC
// 5626 section 4.5).
const maxRetry = 30 * time.Minute

// retryIn returns when to try again after some failures in a row: base times a
// power of 2, at most 30 min, and a random part of that between a half and the
// whole (RFC 5626 section 4.5).
func retryIn(failures int, base time.Duration) time.Duration {
	d := min(base<<min(failures, 10), maxRetry)
	return d/2 + mathrand.N(d/2+1)
}

// longestRetry is for how long a server is left alone at most, however long it wants that.
const longestRetry = 24 * time.Hour

// retryAfter returns for how long a server wants to be left alone (RFC 3903
// section 9), up to a day, and whether it says so.
func retryAfter(err error) (time.Duration, bool) {
	var refused *StatusError
	if !errors.As(err, &refused) {
		return 0, false
	}
	after, err := sip.Get[sip.RetryAfter](refused.Response)
	return min(seconds(after.Seconds), longestRetry), err == nil
}
