package dialog_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// rawPeer sends requests to Bob over UDP that no Endpoint would send there.
type rawPeer struct {
	t  *testing.T
	pc net.PacketConn
	n  int
}

func (p *rawPeer) send(req *sip.Request) {
	p.t.Helper()
	p.n++
	via := sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprint(";branch=z9hG4bK", p.n))}
	to := net.UDPAddrFromAddrPort(netip.MustParseAddrPort(bobAddr + ":5060"))
	if _, err := p.pc.WriteTo([]byte(req.With(sip.Push(via)).String()), to); err != nil {
		p.t.Fatal(err)
	}
}

// asks sends a request and returns its final response, which is to have this status.
func (p *rawPeer) asks(req *sip.Request, status sip.Status) sip.Message {
	p.t.Helper()
	p.send(req)
	want := summary(req.Reply(status))
	buf := make([]byte, 2000)
	for {
		k, _, err := p.pc.ReadFrom(buf)
		if err != nil {
			p.t.Fatal(err)
		}
		resp, err := sip.Parse(string(buf[:k]))
		if err != nil {
			p.t.Fatal(err)
		}
		if resp.CSeq() != req.CSeq() || !resp.(*sip.Response).Status().Final() {
			continue
		}
		if got := summary(resp); got != want {
			p.t.Errorf("%s gets %s, want %s", req.Method(), got, want)
		}
		return resp
	}
}

// within makes a request within the dialog of an INVITE and its 200.
func (p *rawPeer) within(ok sip.Message, method sip.Method, seq uint32, edits ...sip.Edit) *sip.Request {
	contact, _ := sip.Get[sip.Contact](ok)
	return sip.NewRequest(method, contact.URI, append([]sip.Edit{sip.MaxForwards(70), ok.From(), ok.To(),
		sip.CallID(ok.CallID()), sip.CSeq{Seq: seq, Method: method}}, edits...)...)
}

// A call that began with sips URIs is not moved to where it would go in the clear (RFC
// 5630 section 5.1.2), also after a restart. One whose caller had a sip Contact all the
// time is as secure as that.
func TestTargetStaysSecure(t *testing.T) {
	for _, secure := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			cfg := &dialog.Config{
				OnInvite:  accepting(t, sessions),
				OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
			}
			bob := newLayer(t, n, bobAddr, cfg)
			pc, err := n.Host(aliceAddr).ListenPacket(t.Context(), "udp", ":5060")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			p := &rawPeer{t: t, pc: pc}
			first := sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: aliceAddr}}
			moved := first
			moved.URI.User = "moved"
			if secure {
				first.URI.Scheme = "sips"
			}
			ok := p.asks(newInvite(t, "sips:bob@"+bobAddr, "1", first), sip.StatusOK)
			p.send(p.within(ok, sip.ACK, 1))
			s := <-sessions
			try := func(s *dialog.Session, seq uint32) {
				t.Helper()
				status, target := sip.StatusOK, moved
				if secure {
					status, target = sip.StatusBadRequest, first
				}
				for i, method := range []sip.Method{sip.UPDATE, sip.INVITE} {
					p.asks(p.within(ok, method, seq+uint32(i), moved), status)
					if method == sip.INVITE && !secure {
						p.send(p.within(ok, sip.ACK, seq+uint32(i)))
					}
				}
				time.Sleep(time.Second)
				if got := s.Target(); got != target.URI {
					t.Errorf("the target is %v, want %v", got, target.URI)
				}
			}
			try(s, 2)
			_, restored := again(t, n, bobAddr, keep(t, bob), cfg)
			try(restored[0], 4)
		})
	}
}

// listenSecurely runs a Layer on a host of its own, over UDP and TLS.
func listenSecurely(t *testing.T, n *siptest.Network, addr string, cfg *dialog.Config) *dialog.Layer {
	t.Helper()
	l, err := dialog.Listen(&transport.Config{
		Listen:  []string{"udp:" + addr + ":5060", "tls:" + addr + ":5061"},
		Network: n.Host(addr),
		TLS:     &tls.Config{Certificates: []tls.Certificate{siptest.NewAuthority().Certificate(addr)}},
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// Who begins a dialog by a sips URI, is routed back by one or, where there is no proxy, is
// reached at one, is to reach us at one (RFC 3261 section 12.1.1): where we listen on TLS,
// whatever the request came by.
func TestContactIsAsSecureAsTheRequest(t *testing.T) {
	at := func(scheme string) sip.Contact {
		return sip.Contact{URI: sip.URI{Scheme: scheme, User: "alice", Host: aliceAddr}}
	}
	by := func(scheme, host string) sip.Edit {
		return sip.Add(sip.RecordRoute{URI: sip.URI{Scheme: scheme, Host: host, Params: ";lr"}})
	}
	for _, test := range []struct {
		name, target string
		edits        []sip.Edit
		secure       bool
	}{
		{"nothing", "sip", []sip.Edit{at("sip")}, false},
		{"Request-URI", "sips", []sip.Edit{at("sip")}, true},
		{"Contact", "sip", []sip.Edit{at("sips")}, true},
		{"top Record-Route", "sip", []sip.Edit{at("sip"), by("sips", aliceAddr), by("sip", carolAddr)}, true},
		{"another Record-Route", "sip", []sip.Edit{at("sips"), by("sip", aliceAddr), by("sips", carolAddr)}, false},
	} {
		for _, method := range []sip.Method{sip.INVITE, sip.SUBSCRIBE, sip.REFER} {
			t.Run(test.name+", "+string(method), func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					listenSecurely(t, n, bobAddr, &dialog.Config{
						OnInvite:  func(_ context.Context, in *dialog.Invitation) { in.Start() },
						OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Accept(sip.StatusOK) },
					})
					pc, err := n.Host(aliceAddr).ListenPacket(t.Context(), "udp", ":5060")
					if err != nil {
						t.Fatal(err)
					}
					defer pc.Close()
					p := &rawPeer{t: t, pc: pc}
					invite := newInvite(t, test.target+":bob@"+bobAddr, "1", test.edits...)
					req := sip.NewRequest(method, invite.URI(), append([]sip.Edit{
						sip.MaxForwards(70), invite.From(), invite.To(), sip.CallID(invite.CallID()),
						sip.CSeq{Seq: 1, Method: method}, sip.Event{Package: "presence"},
					}, test.edits...)...)
					ok := p.asks(req, sip.StatusOK)
					want := "sip:bob@192.0.2.2:5060"
					if test.secure {
						want = "sips:bob@192.0.2.2:5061"
					}
					if c, _ := sip.Get[sip.Contact](ok); c.URI.String() != want {
						t.Errorf("the Contact is %s, want %s", c.URI, want)
					}
				})
			})
		}
	}
}

// The Contact of our own request is a sips URI if its Request-URI is one, or the top Route
// that it goes by (RFC 3261 section 8.1.1.8).
func TestContactOfSecureRequest(t *testing.T) {
	for _, test := range []struct{ target, first, second, want string }{
		{"sip:bob@" + bobAddr, "", "", "sip:alice@192.0.2.1:5060"},
		{"sips:bob@" + bobAddr, "", "", "sips:alice@192.0.2.1:5061"},
		{"sip:bob@" + bobAddr, "sips:" + carolAddr + ";lr", "", "sips:alice@192.0.2.1:5061"},
		{"sip:bob@" + bobAddr, "sip:" + carolAddr + ";lr", "sips:" + bobAddr + ";lr", "sip:alice@192.0.2.1:5060"},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice := listenSecurely(t, n, aliceAddr, nil)
			req := newInvite(t, test.target, "1")
			for _, hop := range []string{test.first, test.second} {
				if uri, err := sip.ParseURI(hop); err == nil {
					req = req.With(sip.Add(sip.Route{URI: uri}))
				}
			}
			c, err := alice.ContactFor(t.Context(), "alice", req)
			if got := c.URI.String(); err != nil || got != test.want {
				t.Errorf("to %s by %q: the Contact is %s, %v, want %s", test.target, test.first, got, err, test.want)
			}
		})
	}
}
