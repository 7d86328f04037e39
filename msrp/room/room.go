package room

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/sip"
)

// Config says what a Room is like. The zero value is one for everybody, with nicknames and private
// messages.
type Config struct {
	Subject string // in the roster; "" none

	// Admit decides who may join: an error keeps them out. It is not called for who is there
	// already. nil admits everybody.
	Admit func(who sip.Address) error

	NoNicknames       bool     // nicknames are refused, with 403
	ReservedNicknames []string // that nobody may have
	NoPrivateMessages bool     // messages to one participant are refused, with 403

	// AcceptTypes are the media types of what may be in the envelopes; nil is any, which is "*" in the
	// session description.
	AcceptTypes []string

	MaxSize         int64 // of a message with its envelope, in bytes; 0 means 64 KB
	MaxParticipants int   // others are refused with ErrFull; 0 means 1,000
	MaxQueue        int   // messages that wait for a participant, of 1 MB together; 0 means 256

	// TLS refuses who does not chat by TLS, and offers it where the Room calls.
	TLS bool

	Logger *slog.Logger // nil: nothing is logged
}

// What keeps somebody out of a room.
var (
	ErrClosed   = errors.New("room: closed")
	ErrFull     = errors.New("room: full")
	ErrExpelled = errors.New("room: expelled")
)

const (
	maxAddress = 255 // octets of who is in the roster
	maxDisplay = 128 // and of their display name
)

// A Room is a chat room. Its methods may be called from any goroutine.
type Room struct {
	e   *msrp.Endpoint
	uri sip.URI
	key string
	cfg Config
	log *slog.Logger

	mu        sync.Mutex // held for each message that is passed on, so that all see the same order
	closed    bool
	joined    map[*Participant]struct{} // by Join, in the room or not yet
	inside    []*Participant
	users     []*user          // who have participants inside, in the order in which they came
	addresses map[string]*user // by address
	nicknames map[string]*nickname
	anonymous int // numbers given out
	endpoints int
	roster    *confinfo.Conference // nil: to be made
	changed   chan struct{}        // closed when the roster changes
}

// A user is who may be in the room by several devices.
type user struct {
	entity    string
	address   string
	display   string
	devices   []*Participant
	addresses []string // by which private messages reach them
}

// New makes a room on an endpoint, with the URI by which it is called and by which messages to everybody
// name it. cfg may be nil. The error is for a URI that is none.
func New(e *msrp.Endpoint, uri string, cfg *Config) (*Room, error) {
	u, err := sip.ParseURI(uri)
	if err != nil {
		return nil, fmt.Errorf("room: %w", err)
	}
	u = u.Clone()
	r := &Room{e: e, uri: u, key: address(u), joined: map[*Participant]struct{}{}, addresses: map[string]*user{},
		nicknames: map[string]*nickname{}, changed: make(chan struct{})}
	if cfg != nil {
		r.cfg = *cfg
	}
	if r.cfg.AcceptTypes == nil {
		r.cfg.AcceptTypes = []string{"*"}
	}
	if r.cfg.MaxSize == 0 {
		r.cfg.MaxSize = 64 << 10
	}
	if r.cfg.MaxParticipants == 0 {
		r.cfg.MaxParticipants = 1000
	}
	if r.cfg.MaxQueue == 0 {
		r.cfg.MaxQueue = 256
	}
	if r.log = r.cfg.Logger; r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	for _, name := range r.cfg.ReservedNicknames {
		_, key, err := prepare(name)
		if err != nil {
			return nil, fmt.Errorf("room: reserved nickname %q: %w", name, err)
		}
		r.nicknames[key] = &nickname{}
	}
	return r, nil
}

// URI returns the URI of the room.
func (r *Room) URI() sip.URI { return r.uri }

// Admits reports, with nil, whether somebody may join, or see who is there.
func (r *Room) Admits(who sip.Address) error {
	if r.cfg.Admit != nil {
		return r.cfg.Admit(who)
	}
	return nil
}

// Join makes a participant, who is in the room when its call is there: it is the stream of that
// call, and is to be closed if there is none. The address of who joins is what others see of them;
// the Room takes messages from that URI and from the aliases, which are known to be theirs, too,
// and passes on what is for one of them. Somebody can join several times. Of the parameters of a
// URI only those of a number count (RFC 3966 section 4): phone-context, ext and isub.
//
// Who joins from a host anonymous.invalid (RFC 3323 section 4.1.1.3) is somebody else each time,
// with a URI that the roster has. Others who do not want to be known join by a URI that does not
// tell.
//
// The roster goes to everybody: of a display name it has 128 octets, and who has an address of more than 255 is kept out.
//
// Errors are ErrClosed, ErrFull, and what Admit returns.
func (r *Room) Join(who sip.Address, aliases ...sip.URI) (*Participant, error) {
	if err := r.Admits(who); err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return nil, ErrClosed
	case len(r.joined) >= r.cfg.MaxParticipants:
		return nil, ErrFull
	}
	p := r.newParticipant(who, aliases)
	if len(p.entity) > maxAddress {
		return nil, fmt.Errorf("room: an address of %d octets", len(p.entity))
	}
	r.joined[p] = struct{}{}
	return p, nil
}

// Expel ends all participants of somebody, who are told ErrExpelled. It reports whether there were
// any. That they do not come back is for Admit to see to.
func (r *Room) Expel(who sip.URI) bool {
	key := address(who)
	r.mu.Lock()
	var theirs []*Participant
	for p := range r.joined {
		if slices.Contains(p.reached, key) {
			theirs = append(theirs, p)
		}
	}
	r.mu.Unlock()
	for _, p := range theirs {
		p.end(ErrExpelled)
	}
	return len(theirs) > 0
}

// Close ends the room: all participants are told ErrClosed.
func (r *Room) Close() error {
	r.mu.Lock()
	r.closed = true
	var all []*Participant
	for p := range r.joined {
		all = append(all, p)
	}
	r.news()
	r.mu.Unlock()
	for _, p := range all {
		p.end(ErrClosed)
	}
	return nil
}

// enter puts a participant into the room, if it is not there.
func (r *Room) enter(p *Participant) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.joined[p]; !ok || p.user != nil {
		return
	}
	i := slices.IndexFunc(r.users, func(u *user) bool { return u.address == p.reached[0] })
	if i < 0 {
		i = len(r.users)
		r.users = append(r.users, &user{entity: p.entity, address: p.reached[0]})
	}
	u := r.users[i]
	if p.display != "" {
		u.display = p.display
	}
	for i, key := range p.reached {
		if was := r.addresses[key]; i == 0 || was == nil { // nobody's alias is who others are
			r.addresses[key] = u
			u.addresses = append(u.addresses, key)
		}
	}
	p.user, p.since = u, time.Now().UTC().Truncate(time.Second)
	u.devices = append(u.devices, p)
	r.inside = append(r.inside, p)
	r.news()
}

// leave takes a participant out of the room. The lock is held.
func (r *Room) leave(p *Participant) {
	u := p.user
	if u == nil {
		return
	}
	p.user = nil
	r.release(p)
	r.inside = slices.DeleteFunc(r.inside, func(o *Participant) bool { return o == p })
	u.devices = slices.DeleteFunc(u.devices, func(o *Participant) bool { return o == p })
	if len(u.devices) == 0 {
		r.users = slices.DeleteFunc(r.users, func(o *user) bool { return o == u })
		for _, key := range u.addresses {
			if r.addresses[key] == u {
				delete(r.addresses, key)
			}
		}
	}
	r.news()
}
