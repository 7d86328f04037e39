package transaction

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// peer is a UDP socket that says what it is told to say.
type peer struct {
	t    testing.TB
	conn net.PacketConn
	addr netip.AddrPort
	to   net.Addr // where send sends to
}

func newPeer(t testing.TB, host *siptest.Host, to string) *peer {
	t.Helper()
	conn, err := host.ListenPacket(t.Context(), "udp", ":5060")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &peer{t, conn, netip.AddrPortFrom(host.Addr(), 5060),
		net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(to), 5060))}
}

// alicePeer is a scripted client of a layer on bob's host, bobPeer a scripted
// server for a layer on alice's.
func alicePeer(t testing.TB, n *siptest.Network) *peer {
	return newPeer(t, n.Host(aliceAddr), bobAddr)
}

func bobPeer(t testing.TB, n *siptest.Network) *peer {
	return newPeer(t, n.Host(bobAddr), aliceAddr)
}

// with puts a Via with this branch on a request.
func (p *peer) with(branch string, r *sip.Request) *sip.Request {
	return r.With(sip.Push(sip.Via{Transport: "UDP", Host: p.addr.Addr().String(), Params: sip.Params(";branch=" + branch)}))
}

func (p *peer) send(messages ...sip.Message) {
	p.t.Helper()
	for _, m := range messages {
		if m.Err() != nil {
			p.t.Fatal(m.Err())
		}
		p.sendText(m.String())
	}
}

func (p *peer) sendText(text string) {
	p.t.Helper()
	if _, err := p.conn.WriteTo([]byte(text), p.to); err != nil {
		p.t.Fatal(err)
	}
}

// textWithin returns the text of the next message, or "" if none comes in time.
func (p *peer) textWithin(d time.Duration) string {
	p.t.Helper()
	p.conn.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 65536)
	n, _, err := p.conn.ReadFrom(buf)
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return ""
	}
	if err != nil {
		p.t.Fatal(err)
	}
	return string(buf[:n])
}

// within returns the next message, or nil if none comes in time.
func (p *peer) within(d time.Duration) sip.Message {
	p.t.Helper()
	text := p.textWithin(d)
	if text == "" {
		return nil
	}
	m, err := sip.Parse(text)
	if err != nil {
		p.t.Fatal(err)
	}
	return m
}

// response returns the next message, which must be a response with that label.
func (p *peer) response(want string) *sip.Response {
	p.t.Helper()
	m := p.within(time.Minute)
	if m == nil {
		p.t.Fatalf("no message, want %s", want)
	}
	if got := label([]byte(m.String())); got != want {
		p.t.Fatalf("got %s, want %s", got, want)
	}
	return m.(*sip.Response)
}

// request returns the next message, which must be a request of that method.
func (p *peer) request(want sip.Method) *sip.Request {
	p.t.Helper()
	m := p.within(time.Minute)
	if m == nil {
		p.t.Fatalf("no message, want %s", want)
	}
	if got := label([]byte(m.String())); got != string(want) {
		p.t.Fatalf("got %s, want %s", got, want)
	}
	return m.(*sip.Request)
}

// all returns the labels of what comes within d.
func (p *peer) all(d time.Duration) string {
	p.t.Helper()
	var got []string
	until := time.Now().Add(d)
	for text := p.textWithin(d); text != ""; text = p.textWithin(time.Until(until)) {
		got = append(got, label([]byte(text)))
	}
	return strings.Join(got, ", ")
}

// expectAll checks them.
func (p *peer) expectAll(d time.Duration, want string) {
	p.t.Helper()
	if got := p.all(d); got != want {
		p.t.Errorf("within %v came %q, want %q", d, got, want)
	}
}

// reply is a response to a request with this tag in its To.
func reply(r *sip.Request, status sip.Status, tag string) *sip.Response {
	to := r.To()
	if tag != "" {
		to = to.WithTag(tag)
	}
	return r.Reply(status, to)
}

// ackFor is the ACK of a refusal to r.
func ackFor(r *sip.Request, resp *sip.Response) *sip.Request { return ackTo(r, resp) }

// names is a resolver with a fixed list of IPv4 addresses.
type names map[string][]netip.Addr

func (n names) Lookup(_ context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	a := &resolve.Answer{TTL: time.Minute}
	if t == resolve.TypeA {
		a.Addrs = n[name]
	}
	return a, nil
}

func addrs(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func branches(requests ...*sip.Request) string {
	seen := map[string]int{}
	var out []string
	for _, r := range requests {
		b := r.Via().Branch()
		if seen[b] == 0 {
			seen[b] = len(seen) + 1
		}
		out = append(out, fmt.Sprint(seen[b]))
	}
	return strings.Join(out, " ")
}
