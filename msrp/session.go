package msrp

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// SessionConfig says what a Session takes. The zero value is for a chat in plain text.
type SessionConfig struct {
	// AcceptTypes are the media types that we take, the preferred first: "text/plain",
	// "image/*", "*". Nil is text/plain alone. AcceptWrappedTypes are those that we take inside
	// of containers, such as message/cpim, alone (RFC 4975 section 8.6).
	AcceptTypes, AcceptWrappedTypes []string

	// MaxSize is how many bytes a message may have that we take; 0: as many as it likes.
	MaxSize int64

	// MaxChunk is how many bytes a chunk of ours has at most. 0 is 8,192 where a relay is on the way,
	// for there are relays that take no more, and else no limit: a chunk is interrupted when another
	// wants to be sent.
	MaxChunk int64

	// TLS has the peer connect by TLS, or us to the peer, and refuses an offer without. What is
	// offered with TLS is answered with TLS in any case. With relays of ours their URIs say whether there is TLS:
	// one without is an error of Offer, Answer and Path.
	TLS bool

	// CEMA offers to connect to the address in the session description that middleboxes have put there, in
	// place of that in the path (RFC 6714). What a peer offers of it is answered in any case.
	CEMA bool

	// Attributes are further ones of the section in the session description: chatroom:nickname of who would join a
	// room (RFC 7701 section 8), say.
	Attributes []sdp.Attribute

	// AnyAuthority takes a request for this session by the session-id alone, whatever host and port its
	// URI has: for peers behind gateways that change them, as RCS has it.
	AnyAuthority bool

	// DataChannel has the session run over a WebRTC data channel (RFC 8873), which Open gives it. Its sections are
	// those of DataChannel.Attributes and DataChannel.Section.
	DataChannel bool

	// OnExpiring is called when the path by which a relay lets the peer reach us is about to end: a new offer gets
	// another one (RFC 4976 section 9.4). nil: the session is lost with it, and gets another one then.
	OnExpiring func()

	// OnRequest serves requests of other methods than SEND and REPORT: it returns the status to answer. It is
	// called by the goroutine that reads the connection. Those that come before it is known who the peer is get
	// 403. nil: all get 501.
	OnRequest func(h *frame.Head, body []byte) frame.Status

	// OnMessage takes the messages in place of Messages, each when all of it is there, with its body, which
	// is the func's to keep, and returns the status that its sender is told. It is called by the goroutine
	// that reads the connection, and is not to wait. MaxSize is 256 KB then, if it is 0, and no more than 8
	// messages arrive at a time; Messages tells of a lost connection alone. What comes before it is known who the
	// peer is gets 413. nil: they go to Messages.
	OnMessage func(m *Incoming, body []byte) frame.Status

	// OnRoom is called when there is room for another Post, after one was refused with ErrFull, ErrNotConnected or
	// ErrLost, by the goroutine that writes the connection, which may be another one by then. nil: nobody is told.
	OnRoom func()
}

// What is in the way of a session.
var (
	// ErrHeld says that the peer does not want to receive now. Notifications of what became of its messages (RFC
	// 5438) are sent nevertheless (RFC 4975 section 8.9): message/imdn+xml, also in a message/cpim that is a Post or
	// whose Body is a *strings.Reader, a *bytes.Reader or a *bytes.Buffer. In others the session cannot see them.
	ErrHeld = errors.New("msrp: the peer does not receive now")
	// ErrLost says that the connection of the session is lost. A new offer makes another one.
	ErrLost = errors.New("msrp: connection lost")
	// ErrNotConnected says that there is no peer yet.
	ErrNotConnected = errors.New("msrp: no peer yet")
)

// A Session is an exchange of messages with one peer (RFC 4975). It is a stream of a call,
// which describes itself in SDP, and can be connected without that by Path and Connect.
// Its methods may be called from any goroutine.
type Session struct {
	e   *Endpoint
	cfg SessionConfig

	making sync.Mutex // while there may be a new leg

	mu      sync.Mutex
	changed sync.Cond // for who waits
	current *leg      // nil: not begun
	next    *leg      // offered, and not agreed yet
	peer    peer
	held    bool // the peer does not receive
	closed  bool
	address netip.Addr // where the peer reaches us, as we were told

	offered     bool  // the last description of ours was an offer
	secure      bool  // what was last agreed on has TLS
	agreed      bool  // and we had agreed with a peer before, and have no answer yet
	answerRoute route // of the last offer of the peer
	plain       bool  // a middlebox does not do with CEMA

	arrived     []*Incoming // that Messages has not given out
	deaf        bool        // nobody has read what waited since it was waited for in vain
	patience    time.Duration
	vain        time.Time // when it was last waited in vain
	incoming    map[string]*Incoming
	done        []done // messages that are over, the newest last
	window      int    // bytes of a message that wait to be read
	maxIncoming int    // messages that are not complete
	reaper      *time.Timer
	outgoing    map[string]*outgoing
	told        []*outgoing // that are over and still hear of REPORTs, the newest last
	refused     []string    // media types that the peer has listed, and has not taken
	parked      int         // bytes in messages that Messages has not given out

	roomWanted bool // a Post was refused, and nobody was told of room since

	lastSent time.Time
	alive    *time.Timer
}

// A peer is what the peer has said of itself.
type peer struct {
	types, wrapped []string
	maxSize        int64 // 0: not said
}

const (
	maxIncoming = 64  // messages that are not complete
	maxWhole    = 8   // of them with OnMessage, for which all that has come is kept
	maxArrived  = 256 // that nobody has asked for
	maxDone     = 256 // that are over and remembered
	maxTold     = 256 // of ours that hear of REPORTs
	maxRefused  = 64  // media types
)

// NewSession makes a session on an endpoint. cfg may be nil.
func NewSession(e *Endpoint, cfg *SessionConfig) *Session {
	s := &Session{e: e, incoming: map[string]*Incoming{}, outgoing: map[string]*outgoing{}}
	if cfg != nil {
		s.cfg = *cfg
	}
	if s.cfg.AcceptTypes == nil {
		s.cfg.AcceptTypes = []string{"text/plain"}
	}
	s.maxIncoming, s.window = maxIncoming, window
	if s.cfg.OnMessage != nil {
		if s.cfg.MaxSize == 0 {
			s.cfg.MaxSize = window
		}
		s.maxIncoming, s.window = maxWhole, int(s.cfg.MaxSize)
	}
	s.changed.L = &s.mu
	return s
}

// UseAddress says which of our addresses the peer reaches. It counts where Config.Host does not say it,
// nor the address that is bound.
func (s *Session) UseAddress(a netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.address = a
}

// Path returns our path, by which the peer reaches the session: what it is told where there is no
// session description. Both sides need that of the other. A session that has lost its connection gets a new one. With SessionConfig.TLS it is
// of use to peers that can verify the certificate of Config.TLS: see Connect.
func (s *Session) Path(ctx context.Context) (frame.Path, error) {
	l, err := s.legToDescribe(ctx, s.cfg.TLS)
	if err != nil {
		return nil, err
	}
	return slices.Clone(l.path), nil
}

// Connect has the session talk to a peer whose path is known, where there is no session description. The
// one of the two that is active connects to the other, which calls Connect with the active one's path, too: until
// then what comes is answered, and waits; what comes from others is never given out. The peer is taken to accept every
// type. As there is no call to hang up, a Close of the peer is ErrLost here, as is a connection that breaks.
//
// Without a description there is no fingerprint. So who connects by TLS, to a path with msrps, verifies the certificate of the
// peer as that of a server: Config.TLS of the peer has to have one for the host in its path, from an authority that
// ours trusts (RFC 4975 section 5.4). One that an Endpoint has made for itself is not enough: the error has a
// *tls.CertificateVerificationError. Who is connected to knows its peer by the path alone, unless Config.TLS asks for a
// certificate.
//
// Who is active connects by TCP: a path that begins with another transport is a net.UnknownNetworkError.
func (s *Session) Connect(ctx context.Context, remote frame.Path, active bool) error {
	l, err := s.legToDescribe(ctx, s.cfg.TLS)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.peer = peer{types: []string{"*"}, wrapped: []string{"*"}}
	s.mu.Unlock()
	return l.connect(ctx, route{remote: remote, active: active})
}

// Connected waits until the session has its connection: until the peer, if that is to connect, has done
// so.
func (s *Session) Connected(ctx context.Context) error {
	_, _, err := s.ready(ctx)
	return err
}

// ready waits until something can be sent.
func (s *Session) ready(ctx context.Context) (*leg, *connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for waits := false; ; s.changed.Wait() {
		l := s.current
		switch {
		case s.ended():
			return nil, nil, ErrClosed
		case l != nil && l.usable():
			return l, l.conn, nil
		case s.lost() != nil:
			return nil, nil, s.lost()
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		}
		if !waits {
			defer s.wakes(ctx)()
			waits = true
		}
	}
}

// ended reports whether the session is closed, or its endpoint. The lock is held.
func (s *Session) ended() bool { return s.closed || s.e.ctx.Err() != nil }

// lost returns why there is no connection and none to come before another offer; nil if that is not so. The
// lock is held.
func (s *Session) lost() error {
	l, n := s.current, s.next
	switch {
	case l == nil || n != nil && n.failed == nil:
		return nil
	case l.err != nil:
		return l.err
	case l.conn == nil:
		return l.failed
	}
	return nil
}

// wakes has the end of a context, and of the endpoint, wake who waits. What it returns ends that.
func (s *Session) wakes(ctx context.Context) (stop func()) {
	wake := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	}
	one, other := context.AfterFunc(ctx, wake), context.AfterFunc(s.e.ctx, wake)
	return func() { one(); other() }
}

// Close ends the session: messages under way are cut off, and the connection is closed if no other session
// uses it.
func (s *Session) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	for _, t := range []*time.Timer{s.alive, s.reaper} {
		if t != nil {
			t.Stop()
		}
	}
	legs := []*leg{s.current, s.next}
	for _, m := range s.incoming {
		m.fail(ErrClosed)
	}
	clear(s.incoming)
	var out []*outgoing
	for _, o := range s.outgoing {
		out = append(out, o)
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	for _, o := range out {
		o.fail(ErrClosed)
	}
	for _, l := range legs {
		if l != nil {
			l.end(ErrClosed)
		}
	}
	return nil
}

// Messages returns the messages that arrive, each when it begins. The loop ends when the session
// is closed; it yields the error of ctx last if that ends, and why if the connection is lost. A message
// is to be read, or Rejected: what is not read holds up the connection, and is refused after
// 20 seconds, or half of that for each time in the last ten minutes. Each message goes to one loop.
func (s *Session) Messages(ctx context.Context) iter.Seq2[*Incoming, error] {
	return func(yield func(*Incoming, error) bool) {
		defer s.wakes(ctx)()
		for {
			m, err := s.receive(ctx)
			if err == ErrClosed {
				return
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (s *Session) receive(ctx context.Context) (*Incoming, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case len(s.arrived) > 0:
			m := s.arrived[0]
			s.arrived[0], s.deaf, m.given = nil, false, true
			s.parked -= m.unread() + m.held
			if s.arrived = s.arrived[1:]; len(s.arrived) == 0 {
				s.arrived = nil
			}
			s.changed.Broadcast()
			return m, nil
		case s.ended():
			return nil, ErrClosed
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case s.lost() != nil:
			return nil, s.lost()
		}
		s.changed.Wait()
	}
}
