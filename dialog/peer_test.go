package dialog_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// The hosts of the stories, and what the ladder calls them.
const (
	aliceAddr = "192.0.2.1"
	bobAddr   = "192.0.2.2"
	carolAddr = "192.0.2.3"
)

// story runs a test in fake time on a recorded network with 10 ms of delay.
func story(t *testing.T, run func(t *testing.T, n *siptest.Network)) {
	t.Helper()
	storyOn(t, &siptest.NetworkConfig{Delay: 10 * time.Millisecond, Record: true}, run)
}

// storyOn runs a test in fake time on another network.
func storyOn(t *testing.T, cfg *siptest.NetworkConfig, run func(t *testing.T, n *siptest.Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { run(t, siptest.NewNetwork(cfg)) })
}

// newLayer runs a Layer on a host of its own, over UDP and TCP.
func newLayer(t testing.TB, n *siptest.Network, addr string, cfg *dialog.Config) *dialog.Layer {
	t.Helper()
	host := n.Host(addr)
	local := netip.AddrPortFrom(host.Addr(), 5060).String()
	l, err := dialog.Listen(&transport.Config{
		Listen:  []string{"udp:" + local, "tcp:" + local},
		Network: host,
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// newInvite makes the INVITE of a call from Alice.
func newInvite(t testing.TB, target, callID string, edits ...sip.Edit) *sip.Request {
	t.Helper()
	uri, err := sip.ParseURI(target)
	if err != nil {
		t.Fatal(err)
	}
	return sip.NewRequest(sip.INVITE, uri, append([]sip.Edit{
		sip.MaxForwards(70),
		sip.From{URI: sip.URI{Scheme: "sip", User: "alice", Host: "a.example"}, Params: ";tag=alice-" + sip.Params(callID)},
		sip.To{URI: sip.URI{Scheme: "sip", User: "bob", Host: "b.example"}},
		sip.CallID(callID), sip.CSeq{Seq: 1, Method: sip.INVITE},
	}, edits...)...)
}

// call has a caller place a call that is answered, and acknowledges it.
func call(t *testing.T, caller *dialog.Layer, target, callID string, edits ...sip.Edit) *dialog.Session {
	t.Helper()
	s, resp, err := caller.Invite(t.Context(), newInvite(t, target, callID, edits...), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s == nil {
		t.Fatalf("the INVITE was answered with %v", resp.Status())
	}
	if err := s.Ack(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// accepting answers every INVITE with 200, and hands the sessions over.
func accepting(t *testing.T, sessions chan *dialog.Session) func(context.Context, *dialog.Invitation) {
	return func(_ context.Context, in *dialog.Invitation) {
		if _, err := in.Accept(); err != nil {
			t.Errorf("Accept() = %v", err)
			return
		}
		if sessions != nil && !in.Re() {
			sessions <- in.Session()
		}
	}
}

// summary names a message as "INVITE 1" or "200 INVITE 1".
func summary(m sip.Message) string {
	cseq := m.CSeq()
	if resp, ok := m.(*sip.Response); ok {
		return fmt.Sprintf("%d %s %d", resp.Status(), cseq.Method, cseq.Seq)
	}
	return fmt.Sprintf("%s %d", cseq.Method, cseq.Seq)
}

// ladder lists the SIP messages that were sent, in order: who, what, and "lost"
// if it never arrived.
func ladder(t *testing.T, n *siptest.Network) []string {
	t.Helper()
	names := map[string]string{aliceAddr: "alice", bobAddr: "bob", carolAddr: "carol"}
	var lines []string
	for _, p := range n.Packets() {
		m, err := sip.Parse(string(p.Data))
		if err != nil {
			t.Fatalf("%s sent what is no message: %v\n%s", p.From, err, p.Data)
		}
		line := names[p.From.Addr().String()] + ": " + summary(m)
		if p.Lost {
			line += " lost"
		}
		lines = append(lines, line)
	}
	return lines
}

// wantLadder compares the whole ladder.
func wantLadder(t *testing.T, n *siptest.Network, want ...string) {
	t.Helper()
	if got := ladder(t, n); !slices.Equal(got, want) {
		t.Errorf("the ladder is\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

// count says how often a line is in the ladder.
func count(t *testing.T, n *siptest.Network, line string) int {
	t.Helper()
	c := 0
	for _, l := range ladder(t, n) {
		if l == line {
			c++
		}
	}
	return c
}

// sent returns the messages of one host that have this summary.
func sent(n *siptest.Network, host, what string) []sip.Message {
	var ms []sip.Message
	for _, p := range n.Packets() {
		if m, err := sip.Parse(string(p.Data)); err == nil && p.From.Addr().String() == host && summary(m) == what {
			ms = append(ms, m)
		}
	}
	return ms
}

// lose has the network lose the first k messages of a host with this summary.
func lose(n *siptest.Network, host, what string, k int) {
	n.SetFilter(func(p siptest.Packet) siptest.Verdict {
		if k > 0 && p.From.Addr().String() == host {
			if m, err := sip.Parse(string(p.Data)); err == nil && summary(m) == what {
				k--
				return siptest.Verdict{Drop: true}
			}
		}
		return siptest.Verdict{}
	})
}

// peer is a user agent by hand: it sends what the test says and nothing else.
type peer struct {
	t    *testing.T
	ep   *transport.Endpoint
	in   chan *transport.Inbound
	addr string
	n    int
}

func newPeer(t *testing.T, n *siptest.Network, addr string) *peer {
	t.Helper()
	p := &peer{t: t, addr: addr, in: make(chan *transport.Inbound, 1024)}
	host := n.Host(addr)
	local := netip.AddrPortFrom(host.Addr(), 5060).String()
	ep, err := transport.Listen(&transport.Config{
		Listen: []string{"udp:" + local, "tcp:" + local}, Network: host,
		Handle: func(in *transport.Inbound) { p.in <- in },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.ep = ep
	t.Cleanup(func() { ep.Close() })
	return p
}

// contact is where the peer wants requests.
func (p *peer) contact() sip.Contact {
	return sip.Contact{URI: sip.URI{Scheme: "sip", User: "peer", Host: p.addr}}
}

// expect returns the next message, which has to have this summary. Others in
// between are skipped if they are retransmissions of what skip names.
func (p *peer) expect(what string, skip ...string) *transport.Inbound {
	p.t.Helper()
	timeout := time.After(time.Hour)
	for {
		select {
		case in := <-p.in:
			got := summary(in.Message)
			if got == what {
				return in
			}
			if !slices.Contains(skip, got) {
				p.t.Fatalf("%s got %s, want %s", p.addr, got, what)
			}
		case <-timeout:
			p.t.Fatalf("%s got nothing, want %s", p.addr, what)
		}
	}
}

// silent checks that nothing but what skip names comes for a while.
func (p *peer) silent(d time.Duration, skip ...string) {
	p.t.Helper()
	timeout := time.After(d)
	for {
		select {
		case in := <-p.in:
			if got := summary(in.Message); !slices.Contains(skip, got) {
				p.t.Fatalf("%s got %s, want nothing", p.addr, got)
			}
		case <-timeout:
			return
		}
	}
}

// reply answers a request.
func (p *peer) reply(in *transport.Inbound, status sip.Status, edits ...sip.Edit) *sip.Response {
	p.t.Helper()
	resp := in.Message.(*sip.Request).Reply(status, edits...)
	p.respond(in, resp)
	return resp
}

func (p *peer) respond(in *transport.Inbound, resp *sip.Response) {
	p.t.Helper()
	if err := p.ep.Respond(in, resp); err != nil {
		p.t.Fatal(err)
	}
}

// send sends a request to a host, with a branch of its own.
func (p *peer) send(to string, req *sip.Request) *sip.Request {
	p.t.Helper()
	p.n++
	return p.sendAs(to, req, fmt.Sprintf("z9hG4bK-%s-%d", p.addr, p.n))
}

func (p *peer) sendAs(to string, req *sip.Request, branch string) *sip.Request {
	p.t.Helper()
	_, out, err := p.ep.SendRequest(p.t.Context(), req, resolve.Target{
		Transport: "UDP", Addr: netip.AddrPortFrom(netip.MustParseAddr(to), 5060),
	}, branch)
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// refused acknowledges the refusal of an INVITE as it was sent.
func (p *peer) refused(to string, invite *sip.Request, refusal sip.Message) {
	p.t.Helper()
	p.sendAs(to, sip.NewRequest(sip.ACK, invite.URI(), sip.MaxForwards(70), invite.From(), refusal.To(),
		sip.CallID(invite.CallID()), sip.CSeq{Seq: invite.CSeq().Seq, Method: sip.ACK}), invite.Via().Branch())
}

// within makes a request within the dialog of an INVITE that the peer sent and
// its 200.
func (p *peer) within(resp sip.Message, method sip.Method, seq uint32, edits ...sip.Edit) *sip.Request {
	p.t.Helper()
	contact, err := sip.Get[sip.Contact](resp)
	if err != nil {
		p.t.Fatal(err)
	}
	return sip.NewRequest(method, contact.URI, append([]sip.Edit{
		sip.MaxForwards(70), resp.From(), resp.To(), sip.CallID(resp.CallID()), sip.CSeq{Seq: seq, Method: method},
	}, edits...)...)
}

// back makes a request within the dialog of an INVITE that the peer got, with
// the tag of its answer.
func (p *peer) back(invite sip.Message, to sip.To, method sip.Method, seq uint32, edits ...sip.Edit) *sip.Request {
	p.t.Helper()
	contact, err := sip.Get[sip.Contact](invite)
	if err != nil {
		p.t.Fatal(err)
	}
	return sip.NewRequest(method, contact.URI, append([]sip.Edit{
		sip.MaxForwards(70), sip.From(to), sip.To(invite.From()), sip.CallID(invite.CallID()),
		sip.CSeq{Seq: seq, Method: method},
	}, edits...)...)
}

// calls has the peer place a call to a Layer that accepts, and acknowledge it.
func (p *peer) calls(to, callID string, edits ...sip.Edit) *sip.Response {
	p.t.Helper()
	p.send(to, newInvite(p.t, "sip:bob@"+to, callID, append([]sip.Edit{p.contact()}, edits...)...))
	resp := p.expect("200 INVITE 1").Message.(*sip.Response)
	p.send(to, p.within(resp, sip.ACK, 1))
	return resp
}

// summaryOf names a request by method and number.
func summaryOf(method sip.Method, seq int) string { return fmt.Sprintf("%s %d", method, seq) }

// discard is for what a story breaks on purpose.
var discard = slog.New(slog.DiscardHandler)
