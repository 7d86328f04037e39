package room

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/confinfo"
	"github.com/goparley/parley/simple/cpim"
	"github.com/goparley/parley/sip"
)

// connectTime is for how long a participant may be without a connection: before it comes, and from
// when it is lost until another offer brings another one.
const connectTime = 32 * time.Second

// A Participant is somebody in a room, by one device: the stream of a call.
type Participant struct {
	r        *Room
	s        *msrp.Session
	display  string
	entity   string   // in the roster
	endpoint string   // in the roster
	reached  []string // addresses by which messages reach them; the first is who they are
	own      []string // addresses from which they write
	done     chan struct{}

	// Under the lock of the room.
	user       *user // nil: not in the room
	since      time.Time
	err        error
	nickname   string // "" none
	nicknameID string // its key
	aware      bool   // of chat rooms: the session description has "chatroom"
	private    bool   // it takes private messages
	types      []string
	greeted    bool
	running    bool        // watch does
	offers     int         // that Update has told of
	lost       *time.Timer // ends who is without a connection

	queue queue
}

// newParticipant makes a participant. The lock is held.
func (r *Room) newParticipant(who sip.Address, aliases []sip.URI) *Participant {
	r.endpoints++
	uri := who.URI.Clone()
	if uri.Scheme == "tel" {
		uri = number(uri)
	} else {
		uri.Params, uri.Headers = "", ""
	}
	p := &Participant{r: r, display: strings.ToValidUTF8(who.Display[:min(len(who.Display), maxDisplay)], ""), entity: uri.String(), done: make(chan struct{})}
	p.own = []string{address(uri)}
	if strings.EqualFold(uri.Host, "anonymous.invalid") {
		r.anonymous++
		p.entity = confinfo.Anonymous(r.anonymous)
		p.display = ""
		given, _ := sip.ParseURI(p.entity)
		p.own = append(p.own, address(given))
		p.reached = p.own[1:]
	} else {
		for _, a := range aliases {
			p.own = append(p.own, strings.Clone(address(a)))
		}
		p.reached = p.own
	}
	p.endpoint = fmt.Sprintf("%s;endpoint=%d", p.entity, r.endpoints)
	p.s = msrp.NewSession(r.e, &msrp.SessionConfig{
		AcceptTypes: []string{cpim.ContentType}, AcceptWrappedTypes: r.cfg.AcceptTypes, MaxSize: r.cfg.MaxSize, TLS: r.cfg.TLS,
		OnMessage: p.receive, OnRequest: p.request, OnRoom: p.flush,
	})
	return p
}

// Done is closed when the participant has left, for whatever reason. Its call is to be ended then.
func (p *Participant) Done() <-chan struct{} { return p.done }

// Err returns why the participant has left: ErrExpelled, ErrClosed, msrp.ErrLost, or nil if its
// call was over.
func (p *Participant) Err() error {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	return p.err
}

// Offer is that of a stream.
func (p *Participant) Offer(ctx context.Context) (*sdp.Media, error) {
	m, err := p.s.Offer(ctx)
	return p.describe(m), err
}

// Answer is that of a stream. It refuses who does not take message/cpim (RFC 7701 section 5.2).
func (p *Participant) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	if p.r.cfg.TLS && !strings.EqualFold(remote.Proto, "TCP/TLS/MSRP") {
		return nil, nil
	}
	m, err := p.s.Answer(ctx, remote)
	return p.describe(m), err
}

// describe adds what the room can do to a section (RFC 7701 section 8).
func (p *Participant) describe(m *sdp.Media) *sdp.Media {
	if m == nil {
		return nil
	}
	var tokens []string
	if !p.r.cfg.NoNicknames {
		tokens = append(tokens, "nickname")
	}
	if !p.r.cfg.NoPrivateMessages {
		tokens = append(tokens, "private-messages")
	}
	m.Attributes = append(m.Attributes, sdp.Attribute{Name: "chatroom", Value: strings.Join(tokens, " ")})
	return m
}

// Update is that of a stream: it puts the participant into the room. Without a chat the call is
// none of the room's.
func (p *Participant) Update(ctx context.Context, local, remote *sdp.Media) error {
	if local.Port == 0 || remote.Port == 0 {
		p.end(nil)
		return nil
	}
	r := p.r
	tokens, aware := remote.Attribute("chatroom")
	types, _ := remote.Attribute("accept-types")
	wrapped, _ := remote.Attribute("accept-wrapped-types")
	takes := strings.Fields(types + " " + wrapped)
	if !slices.ContainsFunc(takes, func(t string) bool { return !mediatype.In([]string{t}, cpim.ContentType) }) {
		takes = nil // what takes the envelope says nothing of what may be in it
	}
	r.mu.Lock()
	p.aware, p.private, p.types = aware, slices.Contains(strings.Fields(tokens), "private-messages"), takes
	r.mu.Unlock()
	if err := p.s.Update(ctx, local, remote); err != nil {
		return err
	}
	r.enter(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.user == nil {
		return nil // it has been ended
	}
	if !p.aware && !p.greeted {
		p.greeted = true
		r.greet(p)
	}
	p.offers++
	if !p.running {
		p.running = true
		if p.lost != nil {
			p.lost.Stop()
		}
		go p.watch()
	}
	return nil
}

// watch waits for the connection, and until it is lost, which the end of the participant makes it.
// Who has lost it is given time to make another one (RFC 4975 section 5.4).
func (p *Participant) watch() {
	r := p.r
	for offers := 0; ; {
		err := p.untilLost()
		r.mu.Lock()
		again := offers != p.offers // in between, maybe with another path
		offers = p.offers
		lost := errors.Is(err, msrp.ErrLost)
		if lost && again {
			r.mu.Unlock()
			continue
		}
		p.running = false
		if _, joined := r.joined[p]; joined && lost {
			p.lost = time.AfterFunc(connectTime, func() { p.endIf(err, func() bool { return !p.running }) })
		}
		r.mu.Unlock()
		switch {
		case lost:
		case errors.Is(err, context.DeadlineExceeded):
			p.end(fmt.Errorf("%w: %w", msrp.ErrLost, err))
		default:
			p.end(err)
		}
		return
	}
}

// untilLost returns why there is no connection any more, or none in time.
func (p *Participant) untilLost() error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTime)
	defer cancel()
	if err := p.s.Connected(ctx); err != nil {
		return err
	}
	for _, err := range p.s.Messages(context.Background()) { // they go to receive
		return err
	}
	return msrp.ErrClosed
}

// Close is that of a stream: the participant leaves.
func (p *Participant) Close() error {
	p.end(nil)
	return nil
}

// end takes the participant out of the room for good.
func (p *Participant) end(err error) { p.endIf(err, func() bool { return true }) }

// endIf is end, if may says so under the lock of the room.
func (p *Participant) endIf(err error, may func() bool) {
	r := p.r
	r.mu.Lock()
	if _, ok := r.joined[p]; !ok || !may() {
		r.mu.Unlock()
		return
	}
	delete(r.joined, p)
	p.err = err
	r.leave(p)
	if p.lost != nil {
		p.lost.Stop()
	}
	r.mu.Unlock()
	if err != nil {
		r.log.Info("room: a participant is ended", "who", p.entity, "error", err)
	}
	p.queue.clear()
	p.s.Close()
	close(p.done)
}
