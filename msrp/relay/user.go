package relay

import (
	"sync/atomic"
	"time"
)

// An account is what one user has of what the relay has for all. Nobody may have more than a tenth, so
// that one user, or who knows the password of one, does not shut out the others.
type account struct {
	uris    int
	dialing int                      // connections that are being made
	conns   map[*connection]struct{} // that the user's URIs are of, or that are made for them

	asked atomic.Int64 // bytes of paths of requests that wait for responses from the other end

	// After a receiver of the user's was given up: until when nobody waits for another where others
	// would, too, as time.Time.UnixNano.
	distrust atomic.Int64
}

// maxAsked is how many of those bytes there are at most. What has no response takes up a connection, which
// writes no chunks when that is too much; and it may be one to another relay, which is everybody's.
const maxAsked = 64 << 10

func (a *account) isDistrusted() bool { return time.Now().UnixNano() < a.distrust.Load() }

// account returns that of a user. The lock is held.
func (r *Relay) account(user string) *account {
	a := r.users[user]
	if a == nil {
		a = &account{conns: map[*connection]struct{}{}}
		r.users[user] = a
	}
	return a
}

// settle forgets a user who has nothing, and of whom nothing is to be remembered. The lock is held.
func (r *Relay) settle(user string) {
	if a := r.users[user]; a != nil && a.uris == 0 && a.dialing == 0 && len(a.conns) == 0 && !a.isDistrusted() {
		delete(r.users, user)
	}
}

// share is the part of n that one user may have.
func share(n int) int { return max(1, n/10) }

// mayHave reports whether a user may have one more connection, perhaps in the place of one that is not
// used. The lock is held.
func (r *Relay) mayHave(a *account) bool {
	return len(a.conns) < max(4, share(r.cfg.MaxConns)) || r.makeRoom(a.conns)
}

// hasRoom reports whether there may be one more connection, perhaps in the place of one that is not
// used. The lock is held.
func (r *Relay) hasRoom() bool {
	if len(r.conns)+len(r.knocking) < r.cfg.MaxConns {
		return true
	}
	now := time.Now()
	if now.Sub(r.noRoom) < time.Second {
		return false // looking takes time, and who knocks now costs little
	}
	if r.makeRoom(r.conns) {
		return true
	}
	r.noRoom = now
	return false
}

// makeRoom closes the connection that was used least recently (RFC 4976 section 6.5) of those that no
// URI is of and that rest: who is behind it connects again when there is something to send. It returns
// false if there is none. The lock is held.
func (r *Relay) makeRoom(conns map[*connection]struct{}) bool {
	var oldest *connection
	since := time.Now().Add(-restTime).UnixNano()
	for c := range conns {
		if used := c.used.Load(); len(c.grants) == 0 && used <= since {
			oldest, since = c, used
		}
	}
	if oldest == nil {
		return false
	}
	r.drop(oldest)
	oldest.close()
	return true
}
