package dialog_test

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
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
