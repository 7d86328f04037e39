package sdp

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// What is in the way of an offer or an answer. A user agent that gets an
// offer answers the first with 491, the second with 500 and Retry-After
// (RFC 3261 section 14.2, RFC 3311 section 5.2).
var (
	ErrOfferSent     = errors.New("sdp: our own offer is not answered yet")
	ErrOfferReceived = errors.New("sdp: the peer's offer is not answered yet")
	ErrNoOffer       = errors.New("sdp: there is no offer to answer")

	// ErrAnswered is another answer to an offer that had its answer. The
	// first one counts (RFC 3261 section 13.2.1): pass over this one.
	ErrAnswered = errors.New("sdp: the offer has another answer already")
)

// A MismatchError is an answer that does not fit its offer. The session
// cannot go on as either says.
type MismatchError struct {
	Section int // of the m= lines, from 0; -1: the answer as a whole
	Msg     string
}

func (e *MismatchError) Error() string {
	if e.Section < 0 {
		return "sdp: answer: " + e.Msg
	}
	return fmt.Sprintf("sdp: answer: m= section %d: %s", e.Section, e.Msg)
}

// A Config is what an [Engine] writes into every description.
type Config struct {
	Username  string // of o=; "" is "-"
	SessionID uint64 // of o=; 0: a random one
	Address   string // of o= and the session's c=; "": that of the first section described
	Name      string // s=; "" is "-"
}

// A Pair is one m= section as both sides described it. In both, Direction is
// what was agreed, each seen from its own side.
type Pair struct {
	Local, Remote *Media
	Changed       bool // by the last exchange; a mere refresh changes nothing
}

// Active reports whether the section is in use: refused by neither side.
func (p Pair) Active() bool { return p.Local.Port != 0 && p.Remote.Port != 0 }

// An Engine keeps the offer/answer state of one dialog (RFC 3264, RFC 6337):
// which description is agreed, which offer waits for its answer, which m=
// line is whose. It does no I/O and knows no SIP: bodies go in and come out.
// A call that returns an error has changed nothing.
//
// It is not safe for concurrent use. What it returns must not be changed;
// what it is given it copies.
type Engine struct {
	origin  Origin // of all our descriptions; Version is that of text
	address string // c= of their session level
	name    string // s=
	text    string // the description we sent last
	hold    Direction

	agreed []Pair   // never gets shorter (RFC 3264 section 8)
	local  []*Media // our side of agreed, with the directions we would like

	sent     *offer     // ours that waits
	received *Session   // an offer of the peer's that waits
	answer   string     // the peer's answer to our last offer; "" for an offer of the peer's
	known    [][]Format // by section, what our payload types have meant
}

// offer is an offer of ours.
type offer struct {
	written []*Media // its sections
	wanted  []*Media // the same with the directions we would like
}

// NewEngine returns the engine of a new dialog. A nil c is an empty one.
func NewEngine(c *Config) *Engine {
	if c == nil {
		c = &Config{}
	}
	id := c.SessionID
	if id == 0 {
		id = rand.Uint64()>>2 | 1 // some read it as a signed number
	}
	return &Engine{
		origin:  Origin{Username: c.Username, SessionID: id, Address: c.Address},
		address: c.Address,
		name:    c.Name,
	}
}

// Clone returns a copy that goes on by itself: where an INVITE is answered by
// several phones, each dialog has its own answer to the same offer.
func (e *Engine) Clone() *Engine {
	c := *e
	c.known = slices.Clone(e.known)
	for i := range c.known {
		c.known[i] = slices.Clip(c.known[i])
	}
	return &c
}

// Agreed returns the sections as last agreed, one per m= line; none before
// the first answer.
func (e *Engine) Agreed() []Pair { return e.agreed }

// Text returns the description that we have sent last, "" before the first.
func (e *Engine) Text() string { return e.text }

// Offering reports whether an offer of ours waits for its answer.
func (e *Engine) Offering() bool { return e.sent != nil }

// SetAddress sets the address of the session's c= from the next description on: where
// this host has another one now. That of o= stays, for it names the session (RFC 8866
// section 5.2).
func (e *Engine) SetAddress(address string) { e.address = address }

// Hold puts a limit on what our side wants of RTP sections in every offer and
// answer from now on: SendOnly holds the peer, Inactive holds it without
// music, SendRecv is no limit. The engine remembers it while the peer holds and resumes in turn
// (RFC 6337 section 5.3). To tell the peer, make an offer.
func (e *Engine) Hold(to Direction) { e.hold = to & 3 }

// Offer makes an offer of these sections, one per m= line; their Direction is
// the one our side would like. A nil section, or one with port 0, is ended or
// stays refused. There must be one for every line agreed before, and new ones
// come after them or in the place of one not in use (RFC 3264 section 8).
// Nil for all offers again what our side described last, to refresh a session
// or to tell of a Hold.
//
// The error is ErrOfferSent, ErrOfferReceived, or says which section is wrong.
func (e *Engine) Offer(media []*Media) (body string, err error) {
	if err := e.idle(); err != nil {
		return "", err
	}
	if media == nil {
		media = e.local
	}
	if len(media) < len(e.agreed) {
		return "", fmt.Errorf("sdp: offer: %d sections, but %d m= lines are taken", len(media), len(e.agreed))
	}
	wanted, written := make([]*Media, len(media)), make([]*Media, len(media))
	for i, m := range media {
		switch {
		case m == nil && i < len(e.agreed):
			m = e.local[i].refused()
		case m == nil:
			return "", fmt.Errorf("sdp: offer: m= section %d is nil and new", i)
		default:
			m = e.own(m)
		}
		if err := e.remapped(i, m); err != nil {
			return "", fmt.Errorf("sdp: offer: m= section %d: %w", i, err)
		}
		wanted[i], written[i] = m, m.directed(e.wish(m))
	}
	body, err = e.write(written, 0, 0)
	if err != nil {
		return "", fmt.Errorf("write offer: %w", err)
	}
	e.sent, e.answer = &offer{written, wanted}, ""
	e.learn(wanted)
	return body, nil
}

// ReceiveOffer takes an offer of the peer's and returns its sections, to be
// answered one by one with [Engine.Answer]. Those with port 0 are not for
// use. There may be fewer than were agreed: some peers leave out what they
// end at the end of the list. The sections left out are ended when the offer
// is answered, all of them if it has none at all.
//
// The error is ErrOfferSent, ErrOfferReceived or a [*SyntaxError].
func (e *Engine) ReceiveOffer(body string) ([]*Media, error) {
	if err := e.idle(); err != nil {
		return nil, err
	}
	s, err := Parse(body)
	if err != nil {
		return nil, fmt.Errorf("read offer: %w", err)
	}
	if err := s.addressed(); err != nil {
		return nil, fmt.Errorf("read offer: %w", err)
	}
	e.received, e.answer = s, ""
	return s.Media, nil
}

// Answer answers the offer received with one section for each of its own; nil,
// or one with port 0 or without a format, refuses. One with port 0 may have
// attributes, which go into the answer: what is refused may have a name that is
// to be said (RFC 5547 section 8.3). Direction is the one our
// side would like, and becomes what the offer leaves of it. Type and Proto are
// those of the offer if empty. It returns the body and the sections as now
// agreed.
//
// The error is ErrNoOffer, or says which section is wrong.
func (e *Engine) Answer(media []*Media) (body string, agreed []Pair, err error) {
	if e.received == nil {
		return "", nil, ErrNoOffer
	}
	offered := e.received.Media
	if len(media) != len(offered) {
		return "", nil, fmt.Errorf("sdp: answer: %d sections to an offer of %d", len(media), len(offered))
	}
	size := max(len(offered), len(e.agreed))
	wanted, written := make([]*Media, size), make([]*Media, len(offered))
	agreed = make([]Pair, size)
	for i, theirs := range offered {
		m := media[i]
		if m == nil || m.Port == 0 || len(m.Formats) == 0 || theirs.Port == 0 {
			// Bundle-only sections (RFC 9143 section 6) are among these: their
			// port is 0, and without BUNDLE they have nowhere to go.
			wanted[i] = theirs.refused()
			if m != nil && m.Port == 0 {
				wanted[i].Attributes = slices.Clone(m.Attributes)
			}
			written[i] = wanted[i]
			agreed[i] = Pair{Local: wanted[i], Remote: theirs}
			continue
		}
		m = e.own(m)
		m.Type, m.Proto = or(m.Type, theirs.Type), or(m.Proto, theirs.Proto)
		if !strings.EqualFold(m.Type, theirs.Type) || m.Proto != theirs.Proto && !theirs.securedBy(m) {
			return "", nil, fmt.Errorf("sdp: answer: m= section %d: %s %s to an offer of %s %s", i, m.Type, m.Proto, theirs.Type, theirs.Proto)
		}
		way := theirs.Direction.Answer(e.wish(m))
		wanted[i], written[i] = m, m.directed(way)
		agreed[i] = Pair{Local: written[i], Remote: theirs.directed(way.Reverse())}
	}
	e.drop(wanted, agreed, len(offered))
	body, err = e.write(written, e.received.Start, e.received.Stop)
	if err != nil {
		return "", nil, fmt.Errorf("write answer: %w", err)
	}
	e.received = nil
	e.learn(wanted)
	e.agree(wanted, agreed)
	return body, agreed, nil
}

// ReceiveAnswer takes the peer's answer to our offer and returns the sections
// as now agreed. An answer that says again what the last one said, as a 2xx
// does after a reliable or unreliable 1xx, changes nothing.
//
// The error is ErrNoOffer, ErrAnswered, a [*SyntaxError] or a
// [*MismatchError]. Our offer then still waits; unless another answer may
// come, Rollback ends it.
func (e *Engine) ReceiveAnswer(body string) ([]Pair, error) {
	if e.sent == nil {
		return e.again(body)
	}
	if len(body) <= maxText {
		body = strings.Clone(body)
	}
	s, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if err := s.addressed(); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	sent := e.sent.written
	if len(s.Media) != len(sent) {
		return nil, &MismatchError{-1, fmt.Sprintf("%d m= sections to an offer of %d", len(s.Media), len(sent))}
	}
	wanted, agreed := slices.Clone(e.sent.wanted), make([]Pair, len(sent))
	for i, theirs := range s.Media {
		ours := sent[i]
		if !strings.EqualFold(ours.Type, theirs.Type) {
			return nil, &MismatchError{i, fmt.Sprintf("%.80q to an offer of %s", theirs.Type, ours.Type)}
		}
		if ours.Port == 0 || theirs.Port == 0 {
			wanted[i] = ours.refused()
			agreed[i] = Pair{Local: wanted[i], Remote: theirs}
			continue
		}
		if msg := ours.mismatch(theirs); msg != "" {
			return nil, &MismatchError{i, msg}
		}
		// An answer with more than the offer's direction leaves, as some
		// give to a hold, means no more than that.
		way := theirs.Direction.Answer(ours.Direction)
		agreed[i] = Pair{Local: ours.directed(way), Remote: theirs.directed(way.Reverse())}
	}
	e.sent, e.answer = nil, body
	e.agree(wanted, agreed)
	return agreed, nil
}

// Rollback forgets an offer, of either side, that failed: what was agreed
// before stays agreed. Without one it does nothing.
func (e *Engine) Rollback() { e.sent, e.received = nil, nil }

func (e *Engine) idle() error {
	switch {
	case e.sent != nil:
		return ErrOfferSent
	case e.received != nil:
		return ErrOfferReceived
	}
	return nil
}

// again takes an answer that no offer waits for.
func (e *Engine) again(body string) ([]Pair, error) {
	if e.answer == "" {
		return nil, ErrNoOffer
	}
	if !same(e.answer, body) {
		return nil, ErrAnswered
	}
	if slices.ContainsFunc(e.agreed, func(p Pair) bool { return p.Changed }) {
		e.agreed = slices.Clone(e.agreed) // the caller has the other
		for i := range e.agreed {
			e.agreed[i].Changed = false
		}
	}
	return e.agreed, nil
}

// same reports whether two bodies describe the same sections.
func same(a, b string) bool {
	if a == b {
		return true
	}
	s, err1 := Parse(a)
	t, err2 := Parse(b)
	return err1 == nil && err2 == nil && slices.EqualFunc(s.Media, t.Media, (*Media).equal)
}

// drop ends the sections that the peer's offer of n sections left out.
func (e *Engine) drop(wanted []*Media, agreed []Pair, n int) {
	for i := n; i < len(e.agreed); i++ {
		wanted[i] = e.local[i].refused()
		agreed[i] = Pair{Local: wanted[i], Remote: e.agreed[i].Remote.refused()}
	}
}

// agree makes the sections the agreed ones.
func (e *Engine) agree(wanted []*Media, agreed []Pair) {
	for i := range agreed {
		p := &agreed[i]
		if i < len(e.agreed) {
			was := e.agreed[i]
			p.Changed = (p.Active() || was.Active()) && !(p.Local.equal(was.Local) && p.Remote.equal(was.Remote))
		} else {
			p.Changed = true
		}
	}
	e.local, e.agreed = wanted, agreed
}
