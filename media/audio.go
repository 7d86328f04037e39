package media

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/goparley/parley/sdp"
)

// An AudioConfig says what an [Audio] plays, where it listens, and whom it
// believes. Nil, and the zero value, send silence and listen wherever the
// peer can be reached.
type AudioConfig struct {
	// Play is what the peer hears when nothing is played with [Audio.Play];
	// nil, and after its end, silence. While the call is held it waits.
	Play Source

	// Record is given what the peer plays; nil: nobody listens.
	Record Sink

	// Codecs are the codecs to offer and accept, by preference: "PCMU",
	// "PCMA"; empty is both, PCMU first. An answer keeps the peer's order.
	Codecs []string

	// Direction is what we would like; see [Audio.SetDirection].
	Direction sdp.Direction

	// Address is what the description says: where peers reach this host. Zero
	// is what [Audio.UseAddress] was told, or else Listen, or else the local
	// address with a route to the peer (in an offer, which knows no peer, to
	// the Internet), or else 127.0.0.1. A Network of your own must give its
	// sockets an address if none is said here.
	Address netip.Addr

	// Listen is the local address of the sockets. Zero is the address with a
	// route to the peer if that is also the one described, else all
	// addresses, but for a loopback Address that one.
	Listen netip.Addr

	// MinPort and MaxPort are the range of UDP ports to use, an even one for
	// RTP and the next for RTCP. Both zero leave the choice to the system.
	MinPort, MaxPort int

	// Delay is how much later than it comes in audio is recorded, to put
	// late packets in order. Zero is 60 ms; at most 500 ms.
	Delay time.Duration

	// Latch says from where media is accepted; zero is [LatchNAT].
	Latch LatchPolicy

	// Network opens the sockets; nil is the real network.
	Network Network
}

const (
	defaultDelay = 60 * time.Millisecond
	maxDelay     = 500 * time.Millisecond
)

// An Audio is one audio section of a session: it describes itself, agrees
// with the peer's description, and then sends and receives in goroutines of
// its own until Close. Hand it to a call as a stream, which calls Offer,
// Answer, Update and Close; the program plays, dials and listens.
//
// An Audio is for one peer and cannot be used again after Close. All methods
// may be called at any time from any goroutine but Close, which must not be
// called by a Source or Sink of the same Audio.
type Audio struct {
	config  AudioConfig
	session *session

	mu        sync.Mutex
	hint      netip.Addr
	direction sdp.Direction
	pair      *socketPair
	address   netip.Addr      // described; set with pair
	local     []sdp.Format    // as last agreed, so that codecs keep their numbers
	meant     [128]sdp.Format // by number, what it stood for last in a description of ours
}

// NewAudio returns an audio stream that has not opened anything yet. A nil c
// is the zero AudioConfig.
func NewAudio(c *AudioConfig) *Audio {
	a := new(Audio)
	if c != nil {
		a.config = *c
	}
	c = &a.config
	if c.Network == nil {
		c.Network = new(net.ListenConfig)
	}
	if c.Delay <= 0 {
		c.Delay = defaultDelay
	}
	c.Delay = min(c.Delay, maxDelay)
	a.direction = c.Direction
	a.session = newSession(c.Play, c.Record, c.Latch, c.Delay)
	return a
}

// UseAddress tells the address at which the peer reaches this host, for a
// config that names none: the one that signalling uses. A user agent calls it
// before the first Offer or Answer, and when the address has changed before the next
// Offer, which then describes the new one if the sockets are bound to all addresses
// of its family, as they are when nothing else is said.
func (a *Audio) UseAddress(address netip.Addr) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.hint = address.Unmap()
	if a.pair != nil && !a.config.Address.IsValid() && a.pair.local.Addr().IsUnspecified() &&
		a.pair.local.Addr().Is4() == a.hint.Is4() {
		a.address = a.hint
	}
}

// SetDirection sets the direction for the next Offer or Answer: sdp.SendOnly
// puts the peer on hold, sdp.SendRecv takes it back. It changes nothing until
// the peer has agreed and Update is called.
func (a *Audio) SetDirection(d sdp.Direction) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.direction = d
}

// Offer opens the sockets, unless they are open, and describes the stream.
func (a *Audio) Offer(ctx context.Context) (*sdp.Media, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := a.open(ctx, netip.Addr{}); err != nil {
		return nil, err
	}
	formats, err := a.formats()
	if err != nil {
		return nil, err
	}
	return a.describe("RTP/AVP", formats), nil
}

// Answer opens the sockets, unless they are open, and describes the stream as
// an answer to the peer's offer. It returns nil, nil to refuse a section that
// is not plain RTP audio, has no codec of ours or names no host to send to.
// Direction is the one we would like; sdp.Engine makes of it what the offer
// leaves.
func (a *Audio) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	to, err := parseAddr(remote.Address)
	if err != nil || remote.Type != "audio" || remote.Port == 0 || remote.Proto != "RTP/AVP" && remote.Proto != "RTP/AVPF" {
		return nil, nil
	}
	own, err := a.formats()
	if err != nil {
		return nil, err
	}
	formats := sdp.AnswerFormats(remote.RTP(), own)
	if firstCodec(formats) == nil {
		return nil, nil
	}
	if err := a.open(ctx, to); err != nil {
		return nil, err
	}
	if to.IsValid() && to.Is4() != a.pair.local.Addr().Is4() {
		return nil, nil
	}
	return a.describe(remote.Proto, formats), nil
}

// Update puts what both sides have described in force: it starts the stream
// or changes it. A remote port of 0 stops it, but the sockets stay open for a
// later offer. It is an error if nothing was offered or answered before, if the
// peer cannot be sent to, or if no codec is shared (ErrNoCodec); what was in
// force then stays.
func (a *Audio) Update(ctx context.Context, local, remote *sdp.Media) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.pair == nil {
		return fmt.Errorf("media: update: nothing was offered or answered")
	}
	g, err := agree(local, remote)
	if err != nil {
		return err
	}
	if g.rtp.IsValid() && g.rtp.Addr().Is4() != a.pair.local.Addr().Is4() {
		return fmt.Errorf("media: update: cannot send to %s from %s", g.rtp.Addr(), a.pair.local.Addr())
	}
	if err := a.session.update(g); err != nil {
		return err
	}
	if formats := local.RTP(); len(formats) > 0 {
		a.local = formats
	}
	return nil
}

// Close says goodbye to the peer, closes the sockets and waits until Play and
// Record are not used any more. It returns their first error, other than
// [io.EOF], or what went wrong with closing. Closing again does nothing.
func (a *Audio) Close() error { return a.session.close() }

// Play plays a source to its end, instead of what the config says, and
// returns when its last packet has been sent. It waits for the call to be
// answered, and while it is held. If ctx ends first its error is returned; in
// every case the source is not read any more. The error may be ErrBusy,
// ErrClosed or the source's own.
func (a *Audio) Play(ctx context.Context, source Source) error {
	return a.session.playSource(ctx, source)
}

// SendDigits sends DTMF digits: 0-9, *, #, A-D, each 100 ms long and 100 ms
// apart (RFC 4733), and returns when they have been sent. Digits begin with a
// packet, so with packets of 30 or 60 ms they are 10 or 40 ms further apart.
// It waits for the call to be answered, and while it is held. If ctx ends
// first its error is returned; a digit that sounds is brought to its end.
//
// The error may be ErrBusy, ErrClosed or ErrNoDTMF, which comes with the name
// of the digit if the peer takes only others (section 2.5.1.1), or say which
// digit is none. Of digits that the peer is known not to take all of, none is
// sent.
func (a *Audio) SendDigits(ctx context.Context, digits string) error {
	codes, err := parseDigits(digits)
	if err != nil || len(codes) == 0 {
		return err
	}
	return a.session.sendDigits(ctx, codes)
}

// Digits returns the DTMF digits the peer sends (RFC 4733), each when it
// begins. The loop ends when the stream is closed; if ctx ends it yields the
// error of ctx last. The last 64 digits are kept until they are read. Each
// digit goes to one loop.
func (a *Audio) Digits(ctx context.Context) iter.Seq2[rune, error] {
	return a.session.receiveDigits(ctx)
}

// Stats returns the counts of the stream as they are now.
func (a *Audio) Stats() Stats { return a.session.stats() }

// open opens the sockets for a peer at to, which may be the zero Addr.
func (a *Audio) open(ctx context.Context, to netip.Addr) error {
	if a.pair != nil {
		return nil
	}
	c := &a.config
	_, real := c.Network.(*net.ListenConfig)
	address, listen := c.Address.Unmap(), c.Listen.Unmap()
	if !address.IsValid() {
		address = a.hint
	}
	if !address.IsValid() && listen.IsValid() && !listen.IsUnspecified() {
		address = listen
	}
	if !address.IsValid() && real {
		if !to.IsValid() || to.IsUnspecified() {
			to = internet
		}
		if address = routeTo(to); !address.IsValid() {
			address = loopback
		}
		if !listen.IsValid() {
			listen = address
		}
	}
	if !listen.IsValid() {
		switch {
		case address.IsLoopback():
			listen = address
		case address.Is6():
			listen = netip.IPv6Unspecified()
		default:
			listen = netip.IPv4Unspecified()
		}
	}
	pair, err := openPair(ctx, c.Network, listen, c.MinPort, c.MaxPort)
	if err != nil {
		return err
	}
	if !address.IsValid() {
		address = pair.local.Addr() // an in-memory network knows what it gave us
	}
	if !address.IsValid() || address.IsUnspecified() {
		pair.close()
		return errNoAddress
	}
	if err := a.session.open(pair); err != nil {
		return err
	}
	a.pair, a.address = pair, address
	return nil
}

var errNoAddress = errors.New("media: no address to describe: the network's sockets have none; set AudioConfig.Address")

var (
	loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	internet = netip.AddrFrom4([4]byte{192, 0, 2, 1}) // for a route only (RFC 5737)
)
