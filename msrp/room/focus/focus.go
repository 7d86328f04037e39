// Package focus takes the calls to chat rooms, and lets their rosters be watched.
//
// A Focus is what stands between an Agent of package ua and Rooms of package msrp/room. It answers
// each call to the URI of a Room with a participant of that, and hangs up when the Room has done
// with it. As an event package it tells who may join who is there.
//
//	f := focus.New(chat)
//	agent, err := ua.New("sip:chat@example.com", &ua.Config{
//		OnInvite:  f.OnInvite,
//		Notifiers: []*ua.Notifier{f.Notifier()},
//	})
//
// It implements RFC 4353 and RFC 4579 section 5.1 as far as RFC 7701 section 5.2 wants that, and
// the event package "conference" (RFC 4575).
//
// It calls nobody, does not serve REFER or Replaces, by which a participant could have it invite
// or expel somebody and which RFC 7701 does not ask for, and has no policy but that of the Rooms.
package focus

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A Focus serves rooms at an agent, or at several. Its methods may be called from any goroutine.
type Focus struct {
	notifier *ua.Notifier

	mu    sync.Mutex
	rooms map[string]*room.Room
	last  difference
}

// A difference is what most watchers are told at a time, for they all have seen the same before.
type difference struct{ old, now, document *confinfo.Conference }

// New makes a focus of rooms.
func New(rooms ...*room.Room) *Focus {
	f := &Focus{rooms: make(map[string]*room.Room)}
	f.notifier = ua.NewNotifier(conference{f}, nil)
	for _, r := range rooms {
		f.Add(r)
	}
	return f
}

// Notifier returns what tells of the rosters: it belongs in the Config of the agent.
func (f *Focus) Notifier() *ua.Notifier { return f.notifier }

// Add has the focus serve another room, until that is closed.
func (f *Focus) Add(r *room.Room) {
	k := key(r.URI())
	f.mu.Lock()
	f.rooms[k] = r
	f.mu.Unlock()
	go func() { // ends when the room is closed
		for range r.Rosters(context.Background()) {
			f.notifier.Changed(r.URI())
		}
		f.mu.Lock()
		if f.rooms[k] == r {
			delete(f.rooms, k)
		}
		f.mu.Unlock()
		for w := range f.notifier.Watchers(r.URI()) {
			w.Terminate("noresource", 0)
		}
	}()
}

// room returns the room that a URI names, nil if there is none.
func (f *Focus) room(u sip.URI) *room.Room {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rooms[key(u)]
}

func key(u sip.URI) string { return u.Username() + "@" + hostname.Canonical(u.Host) }

// OnInvite is that of a ua.Config. A call to no room gets 404, one of somebody who may not join
// 403, one to a room that is full 486. Who calls is who the network asserts (RFC 3325), and else who
// they say. That is to be the user that they have proved to be, if they had to, in the domain of the
// room or one above: sip:alice@example.com for a room at chat.example.com.
//
// Who wants to be private joins as anonymous (RFC 4575 section 8.2): by a Privacy other than none, or by a
// From of anonymous.invalid. Admit of the room is asked twice then, about who they are, as far as that is
// known, and about sip:anonymous@anonymous.invalid, or that From. Their messages are to be from there, or from their URI
// in the roster: those from any other get 403, so that none tells who they are.
func (f *Focus) OnInvite(ctx context.Context, in *ua.Invitation) {
	r := f.room(in.Request().URI())
	if r == nil {
		r = f.room(in.Request().To().URI) // a registrar has put our Contact in its place
	}
	if r == nil {
		in.Reject(ctx, sip.StatusNotFound)
		return
	}
	who, aliases, err := identify(r, in.From(), in.Asserted(), in.User())
	if err == nil && isPrivate(in) {
		err = r.Admits(who)
		if who, aliases = in.From(), nil; !isAnonymous(who) {
			who = anonymous
		}
	}
	var p *room.Participant
	if err == nil {
		p, err = r.Join(who, aliases...)
	}
	switch {
	case errors.Is(err, room.ErrFull):
		in.Reject(ctx, sip.StatusBusyHere)
	case errors.Is(err, room.ErrClosed):
		in.Reject(ctx, sip.StatusNotFound)
	case err != nil:
		in.Reject(ctx, sip.StatusForbidden)
	}
	if err != nil {
		return
	}
	contact := in.Dialog().Contact() // RFC 4579 section 5.1
	contact.Params = contact.Params.With("automata", "").With("isfocus", "").With("message", "").With("event", `"conference"`)
	in.Dialog().SetContact(contact)
	call, err := in.Answer(ctx, p)
	if err != nil {
		p.Close() // the caller has given up, or has no chat
		return
	}
	select {
	case <-call.Done():
	case <-p.Done():
		call.Hangup(context.WithoutCancel(ctx)) // and if the BYE is not answered, the call is over nevertheless
	}
}

var errNotTheUser = errors.New("focus: From is not the user who has proved to call")

// identify returns who somebody is to a room.
func identify(r *room.Room, from sip.Address, asserted []sip.Address, user string) (who sip.Address, aliases []sip.URI, err error) {
	switch {
	case len(asserted) > 0:
		for _, a := range asserted[1:] {
			aliases = append(aliases, a.URI)
		}
		return asserted[0], aliases, nil
	case user != "" && !isAnonymous(from) && (user != from.URI.Username() || !isOver(from.URI.Host, r.URI().Host)):
		return sip.Address{}, nil, errNotTheUser
	}
	return from, nil, nil
}

// isOver reports whether a domain is that of a host, or one above that: a password tells a user of ours from others,
// and says nothing of those who have the same name elsewhere.
func isOver(domain, host string) bool {
	domain, host = hostname.Canonical(domain), hostname.Canonical(host)
	return domain == host || strings.HasSuffix(host, "."+domain)
}

func isAnonymous(a sip.Address) bool { return strings.EqualFold(a.URI.Host, "anonymous.invalid") }

// anonymous is who does not want to be known (RFC 3323 section 4.1.1.3).
var anonymous = sip.Address{URI: sip.URI{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}

// isPrivate reports whether callers do not want to be known, by their Privacy (RFC 3323 section 4.2), whatever of it, or by
// their From.
func isPrivate(in *ua.Invitation) bool {
	if isAnonymous(in.From()) {
		return true
	}
	privacy, ok := in.Request().Value("Privacy")
	return ok && !strings.EqualFold(privacy, "none")
}
