package room

import (
	"context"
	"iter"

	"github.com/goparley/parley/simple/confinfo"
)

// Rosters returns who is there, first now and then whenever that has changed; if it changes often,
// not each time. The loop ends with ctx, or when the room is closed. A roster is full, and does not
// change.
func (r *Room) Rosters(ctx context.Context) iter.Seq[*confinfo.Conference] {
	return func(yield func(*confinfo.Conference) bool) {
		var last *confinfo.Conference
		for {
			r.mu.Lock()
			now, changed, closed := r.current(), r.changed, r.closed
			r.mu.Unlock()
			if closed || now != last && !yield(now) {
				return
			}
			last = now
			select {
			case <-changed:
			case <-ctx.Done():
				return
			}
		}
	}
}

// Roster returns who is there. It does not change.
func (r *Room) Roster() *confinfo.Conference {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current()
}

// news says that the roster has changed. The lock is held.
func (r *Room) news() {
	r.roster = nil
	close(r.changed)
	r.changed = make(chan struct{})
}

// current returns the roster (RFC 4575 section 5). The lock is held.
func (r *Room) current() *confinfo.Conference {
	if r.roster != nil {
		return r.roster
	}
	c := &confinfo.Conference{
		Entity: r.uri.String(), State: confinfo.Full,
		Description: confinfo.Description{Subject: r.cfg.Subject, AvailableMedia: []confinfo.Medium{{Label: "1", Type: "message", Status: "sendrecv"}}},
		Activity:    confinfo.Activity{UserCount: new(uint32(len(r.users))), Active: new(!r.closed)},
	}
	for _, u := range r.users {
		c.Users = append(c.Users, u.roster())
	}
	r.roster = c
	return c
}

// roster returns the entry of a user, who has one nickname there: that of the first device with one.
func (u *user) roster() confinfo.User {
	entry := confinfo.User{Entity: u.entity, State: confinfo.Full, DisplayText: u.display}
	for _, p := range u.devices {
		if entry.Nickname == "" {
			entry.Nickname = p.nickname
		}
		entry.Endpoints = append(entry.Endpoints, confinfo.Endpoint{
			Entity: p.endpoint, State: confinfo.Full, Status: "connected", JoiningMethod: "dialed-in",
			JoiningInfo: confinfo.Execution{When: p.since},
			Media:       []confinfo.Media{{ID: "1", Type: "message", Label: "1", Status: "sendrecv"}},
		})
	}
	return entry
}
