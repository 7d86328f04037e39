package msrp

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/goparley/parley/internal/mediatype"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// Offer describes the session (RFC 4975 section 8). A session that has lost its connection, or this
// host its address, gets a new path. What the peer has brought to TLS stays there.
func (s *Session) Offer(ctx context.Context) (*sdp.Media, error) {
	s.mu.Lock()
	secure := s.cfg.TLS || s.secure
	s.mu.Unlock()
	l, err := s.legToDescribe(ctx, secure)
	if err != nil {
		return nil, err
	}
	setup := "actpass"
	if !s.e.listens() && !l.given {
		setup = "active"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered, s.agreed = true, l.remote != nil
	return s.describe(l, setup, s.cfg.CEMA && !s.plain || s.cfg.DataChannel), nil
}

// legToDescribe returns the leg that goes into a description: the current one if it is alive and where
// we are, else a new one.
func (s *Session) legToDescribe(ctx context.Context, secure bool) (*leg, error) {
	s.making.Lock()
	defer s.making.Unlock()
	s.mu.Lock()
	l := s.next
	if l == nil {
		l = s.current
	}
	alive := l != nil && l.err == nil && l.failed == nil && !l.stale && (l.given || l.secure == secure)
	known := s.address
	s.mu.Unlock()
	if alive && (l.given || l.local.Host == s.e.host(secure, known)) {
		return l, nil
	}
	l, err := s.newLeg(ctx, secure)
	if err != nil {
		return nil, err
	}
	return l, s.setNext(l)
}

// setNext has a leg take the place of the current one when it has its connection.
func (s *Session) setNext(l *leg) error {
	s.mu.Lock()
	old := s.next
	switch {
	case s.closed:
		s.mu.Unlock()
		l.end(ErrClosed)
		return ErrClosed
	case s.current == nil:
		s.current, old = l, nil
	default:
		s.next = l
	}
	s.mu.Unlock()
	if old != nil {
		old.end(errMoved)
	}
	return nil
}

// describe writes the section. The lock is held.
func (s *Session) describe(l *leg, setup string, cema bool) *sdp.Media {
	m := &sdp.Media{Type: "message", Proto: "TCP/MSRP", Formats: []string{"*"}, Address: l.local.Host, Port: int(l.local.Port)}
	if l.secure {
		m.Proto = "TCP/TLS/MSRP"
	}
	if cema && len(l.relays) > 0 { // RFC 6714 section 4.2
		m.Address, m.Port = l.path[0].Host, int(l.path[0].Port)
	}
	add := func(name, value string) { m.Attributes = append(m.Attributes, sdp.Attribute{Name: name, Value: value}) }
	add("path", l.path.String())
	add("accept-types", strings.Join(s.cfg.AcceptTypes, " "))
	if len(s.cfg.AcceptWrappedTypes) > 0 {
		add("accept-wrapped-types", strings.Join(s.cfg.AcceptWrappedTypes, " "))
	}
	if s.cfg.MaxSize > 0 {
		add("max-size", strconv.FormatInt(s.cfg.MaxSize, 10))
	}
	add("setup", setup)
	if cema {
		add("msrp-cema", "")
	}
	if l.secure && l.fingerprint != "" && len(l.relays) == 0 {
		add("fingerprint", l.fingerprint)
	}
	m.Attributes = append(m.Attributes, s.cfg.Attributes...)
	return m
}

// A described session is what the peer's section says.
type described struct {
	path   frame.Path
	peer   peer
	setup  string // "" none
	cema   bool
	print  []fingerprint
	secure bool
}

// read reads a section. An error says that it is none of a session that we could have.
func read(m *sdp.Media) (d described, err error) {
	switch {
	case m.Type != "message":
		return d, fmt.Errorf("msrp: a section of %q", m.Type)
	case strings.EqualFold(m.Proto, "TCP/MSRP"):
	case strings.EqualFold(m.Proto, "TCP/TLS/MSRP"):
		d.secure = true
	default:
		return d, fmt.Errorf("msrp: the protocol %q", m.Proto)
	}
	path, _ := m.Attribute("path")
	if d.path, err = frame.ParsePath(path); err != nil {
		return d, err
	}
	if d.path[0].Secure != d.secure {
		return d, fmt.Errorf("msrp: a path by %s with the protocol %s", d.path[0], m.Proto)
	}
	for _, u := range d.path {
		if u.Port == 0 || u.SessionID == "" {
			return d, fmt.Errorf("msrp: a URI without a port, or of no session, in the path: %s", u)
		}
	}
	types, ok := m.Attribute("accept-types")
	if !ok {
		return d, fmt.Errorf("msrp: no accept-types")
	}
	d.peer.types = strings.Fields(types)
	wrapped, _ := m.Attribute("accept-wrapped-types")
	d.peer.wrapped = append(strings.Fields(wrapped), d.peer.types...)
	if size, ok := m.Attribute("max-size"); ok {
		// One that cannot be read, or is 0, says nothing: it is a hint.
		d.peer.maxSize, _ = strconv.ParseInt(strings.TrimSpace(size), 10, 64)
		d.peer.maxSize = max(0, d.peer.maxSize)
	}
	setup, _ := m.Attribute("setup")
	switch setup = strings.ToLower(strings.TrimSpace(setup)); setup {
	case "active", "passive", "actpass":
		d.setup = setup // holdconn is as if it were not there (RFC 6135 section 4.2.1)
	}
	_, d.cema = m.Attribute("msrp-cema")
	d.print, err = fingerprints(m)
	return d, err
}

// fingerprints returns those of a section, or if it has none those of its session (RFC 8122 section 5).
func fingerprints(m *sdp.Media) (list []fingerprint, err error) {
	for _, level := range [][]sdp.Attribute{m.Attributes, m.Inherited} {
		for _, a := range level {
			if a.Name != "fingerprint" {
				continue
			}
			if f, ok := parseFingerprint(a.Value); ok {
				list = append(list, f)
			} else {
				err = fmt.Errorf("msrp: the fingerprint %.80q", a.Value)
			}
		}
		if len(list) > 0 {
			// The strongest alone count (RFC 8122 section 5.1).
			best := slices.MaxFunc(list, func(a, b fingerprint) int { return len(a.sum) - len(b.sum) })
			return slices.DeleteFunc(list, func(f fingerprint) bool { return f.algorithm != best.algorithm }), nil
		}
		if err != nil {
			return nil, err // one that we cannot check is not as if there were none
		}
	}
	return nil, nil
}

// Answer describes the session as an answer. It refuses, with nil, a section that is not of MSRP, has no
// path, takes no type that we know, or whose connection cannot come about.
func (s *Session) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	d, err := read(remote)
	if err != nil || !s.common(d.peer) || s.cfg.TLS && !d.secure {
		s.e.log.Debug("msrp: an offer that is refused", "error", err)
		return nil, nil
	}
	r := route{remote: d.path, verify: d.print}
	setup, reached := "passive", s.e.listens() || s.given()
	matches := s.cfg.DataChannel || s.e.matches(ctx, remote, d.path)
	switch {
	case d.setup == "passive":
		r.active = true
	case d.setup == "actpass":
		// Who has a relay is to be connected to where there may be a middlebox (RFC 6714 section 4.5), and where its relay
		// would not know our certificate.
		r.active = !reached || !s.given() && len(d.path) > 1 && (d.cema && (!matches || r.byTCP()) || d.secure && s.e.anonymous())
	case !reached:
		return nil, nil // the peer would have to connect to us (RFC 4975 section 5.4)
	}
	if r.active {
		setup = "active"
	}
	cema := d.cema
	switch theirs, ours := len(d.path) > 1, s.relayed(); {
	case s.cfg.DataChannel:
		cema = true // RFC 8873 section 4.4
	case !d.cema && !matches:
		// A middlebox wants to be connected to that does not know how to say so (RFC 6714 section 4.3).
		return nil, nil
	case theirs && ours, theirs && !r.active, ours && r.active:
		cema = false
	}
	if cema && r.active && !matches {
		r.address = hostPort(frame.URI{Host: remote.Address, Port: uint16(remote.Port)})
	}
	if r.active && !r.byTCP() && !s.given() {
		return nil, nil
	}
	l, err := s.legToAnswer(ctx, d)
	if err != nil {
		return nil, err
	}
	if s.relayed() && d.secure && !l.secure { // the relay does without the TLS that the peer asks for
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.offered, s.answerRoute = false, r
	m := s.describe(l, setup, cema)
	if s.cfg.DataChannel {
		m.Direction = remote.Direction.Answer(sdp.SendRecv) // for which there is no engine
	}
	return m, nil
}

// legToAnswer returns the leg for an offer: another one if the peer has another path.
func (s *Session) legToAnswer(ctx context.Context, d described) (*leg, error) {
	s.mu.Lock()
	l := s.current
	moved := l != nil && l.remote != nil && !l.remote.Equal(d.path)
	s.mu.Unlock()
	if !moved {
		return s.legToDescribe(ctx, d.secure)
	}
	l, err := s.newLeg(ctx, d.secure)
	if err != nil {
		return nil, err
	}
	return l, s.setNext(l)
}

// common reports whether the peer takes any type that we do: what we take is what we know.
func (s *Session) common(p peer) bool {
	for _, list := range [][2][]string{{p.types, s.cfg.AcceptTypes}, {s.cfg.AcceptTypes, p.types}} {
		for _, t := range list[1] {
			if t == "*" || mediatype.In(list[0], t) {
				return true
			}
		}
	}
	return false
}

// Update takes what both sides have agreed on, and connects if that is for us to do. It
// returns when the connection is there; where the peer connects, at once.
func (s *Session) Update(ctx context.Context, local, remote *sdp.Media) error {
	if local.Port == 0 || remote.Port == 0 {
		s.mu.Lock()
		legs := []*leg{s.current, s.next}
		s.current, s.next = nil, nil
		s.mu.Unlock()
		for _, l := range legs {
			if l != nil {
				l.end(ErrLost)
			}
		}
		return nil
	}
	d, err := read(remote)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.peer, s.held = d.peer, !local.Direction.Sends() || !remote.Direction.Receives()
	l, r, offered, agreed := s.next, s.answerRoute, s.offered, s.offered && s.agreed
	s.agreed = false // what comes next is of another phone
	if l == nil {
		l = s.current
	}
	if l != nil {
		s.secure = l.secure
	}
	s.changed.Broadcast()
	s.mu.Unlock()
	if l == nil {
		return ErrNotConnected
	}
	if offered {
		if r, err = s.routeOfAnswer(ctx, l, remote, d); err != nil {
			l.end(err)
			return nil
		}
	}
	s.mu.Lock()
	same, other := l.remote.Equal(r.remote), l.remote != nil
	settled, over := l.conn != nil || !r.active, l.err
	s.mu.Unlock()
	switch {
	case over != nil:
		return over // lost while the offer was under way
	case same && settled:
		return nil // nothing has changed, or it is the final answer after an early one
	case other && !same && agreed && !l.given && settled:
		l = s.follow(l)
	case other && !same:
		if l, err = s.branch(l); err != nil {
			return err
		}
	}
	return l.connect(ctx, r)
}

// routeOfAnswer returns the way to a peer that has answered our offer. An error says that another offer
// is needed.
func (s *Session) routeOfAnswer(ctx context.Context, l *leg, remote *sdp.Media, d described) (route, error) {
	// Who cannot be reached has to connect, whatever the peer says.
	r := route{remote: d.path, verify: d.print, active: d.setup != "active" || !s.e.listens() && !l.given}
	s.mu.Lock()
	cema := s.cfg.CEMA && !s.plain && !s.cfg.DataChannel
	s.mu.Unlock()
	if !cema {
		return r, nil
	}
	matches := s.e.matches(ctx, remote, d.path)
	theirs, ours := len(d.path) > 1, len(l.relays) > 0
	switch {
	case matches:
	case !d.cema && (!r.active || ours || theirs):
		s.mu.Lock()
		s.plain = true
		s.mu.Unlock()
		return r, fmt.Errorf("%w: a middlebox needs an offer without msrp-cema (RFC 6714 section 4.2)", ErrLost)
	case r.active: // of no matter where a relay of ours connects
		r.address = hostPort(frame.URI{Host: remote.Address, Port: uint16(remote.Port)})
	}
	return r, nil
}

// follow returns a leg with the URI of another one, in whose place it is when it has its connection: the peer has answered
// another offer with another path (RFC 4975 section 8.4).
func (s *Session) follow(l *leg) *leg {
	n := l.twin()
	s.e.mu.Lock()
	s.e.legs[n.local.SessionID] = n
	s.e.mu.Unlock()
	s.mu.Lock()
	closed := s.closed
	if !closed {
		s.next = n
	}
	s.mu.Unlock()
	if closed {
		n.end(ErrClosed)
	}
	return n
}

// twin returns a leg with the same URI.
func (l *leg) twin() *leg {
	return &leg{s: l.s, local: l.local, path: l.path, secure: l.secure, relays: l.relays, from: l.from, fingerprint: l.fingerprint, given: l.given}
}

// branch returns a leg with the URI of another one, in whose place it is: another phone has answered the
// same offer.
func (s *Session) branch(l *leg) (*leg, error) {
	n := l.twin()
	s.e.mu.Lock()
	if s.e.legs[l.local.SessionID] == l {
		s.e.legs[l.local.SessionID] = n
	}
	s.e.mu.Unlock()
	s.mu.Lock()
	if s.current == l {
		s.current = n
	}
	if s.next == l {
		s.next = n
	}
	closed := s.closed
	s.mu.Unlock()
	n.succeed(l)
	l.end(errMoved)
	if closed {
		n.end(ErrClosed)
		return nil, ErrClosed
	}
	return n, nil
}

// matches reports whether the address and port of a section are those of a URI of its path (RFC 6714
// section 4.4). A section without an address says nothing else than its path does.
func (e *Endpoint) matches(ctx context.Context, m *sdp.Media, path frame.Path) bool {
	if m.Address == "" {
		return true
	}
	for _, u := range path {
		if int(u.Port) != m.Port {
			continue
		}
		if frame.SameHost(u.Host, m.Address) {
			return true
		}
		for _, a := range e.lookup(ctx, u.Host) {
			if slices.Contains(e.lookup(ctx, m.Address), a) {
				return true
			}
		}
	}
	return false
}

// lookup returns the addresses of a host, none if there are none.
func (e *Endpoint) lookup(ctx context.Context, host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}
	}
	addrs, err := e.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for i := range addrs {
		addrs[i] = addrs[i].Unmap()
	}
	return addrs
}
