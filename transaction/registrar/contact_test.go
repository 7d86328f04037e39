package registrar

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction/proxy"
)

// RFC 5627 section 5.1: the own address-of-record is no Contact, in whichever
// spelling.
func TestContactIsTheUser(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		for _, c := range []string{
			"sip:alice@example.com", "sip:alice@example.com:5060", "sip:alice@example.com:5070", "sips:alice@example.com",
			"sip:alice@example.com;transport=udp", "sip:alice@EXAMPLE.com.", "sip:al%69ce:pw@example.com;x=1",
			"sip:alice@example.com;maddr=192.0.2.10", "sip:alice@example.com;gr",
			"sip:alice@example.com:5060;gr=urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
		} {
			if resp := s.phone.ask(s.phone.request(contact("<" + c + ">"))); resp.Status() != sip.StatusForbidden {
				t.Errorf("Contact %s got %v, want 403", c, resp.Status())
			}
			s.expectTargets(aliceAOR)
		}
	})
}

// Where the domain is an address, phones may be at another port of the machine.
func TestContactOnOurMachine(t *testing.T) {
	story(t, &Config{Domains: []string{registrarAddr}}, func(t *testing.T, s *scene) {
		s.phone.uri, s.phone.to = "sip:"+registrarAddr, "sip:alice@"+registrarAddr
		s.phone.register(403, contact("<sip:alice@"+registrarAddr+">"))
		s.phone.register(403, contact("<sip:alice@"+registrarAddr+":5060>"))
		s.phone.register(200, contact("<sip:alice@"+registrarAddr+":5070>", "<sip:bob@"+registrarAddr+":5071>"))
	})
}

// A user may be forwarded to one other user of our domains, beside phones.
func TestForwardToAColleague(t *testing.T) {
	story(t, &Config{Domains: []string{"example.com", "example.net"}}, func(t *testing.T, s *scene) {
		const bob, carol = "<sip:bob@example.com>", "<sip:carol@example.net:5060>"
		s.phone.register(403, contact(bob, carol))
		s.expectTargets(aliceAOR)
		s.phone.register(200, contact(bob+";q=0.1", numbered(1)))
		s.phone.register(403, contact(carol))
		s.phone.register(403, contact("<sip:bob@example.com;transport=tcp>")) // the same user, and another Contact
		s.phone.register(200, contact(bob+";q=0.1", numbered(2)+";q=0.5"))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001", "sip:alice@192.0.2.1:6002") // bob is nowhere
		s.phone.register(200, contact(bob+";expires=0", carol))
	})
}

// Two users who name each other make no storm: what an INVITE becomes is bounded by
// its Max-Forwards, not by the power of it.
func TestUsersWhoNameEachOther(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		var seen atomic.Int64
		listenProxy(t, s.n.Host("192.0.2.20"), s.location, &seen)
		for _, names := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
			s.phone.to, s.phone.callID = "sip:"+names[0]+"@example.com", names[0]
			for i := range 4 {
				s.phone.ask(s.phone.request(contact(fmt.Sprintf("<sip:%s@example.com;x=%d>", names[1], i))))
				s.phone.ask(s.phone.request(contact(fmt.Sprintf("<sip:%s@example.com;x=%d>", names[0], i))))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		s.phone.layer.Do(ctx, sip.NewRequest("MESSAGE", uri(t, aliceAOR), sip.MaxForwards(10),
			sip.From{URI: uri(t, "sip:m@example.org"), Params: ";tag=1"}, sip.To{URI: uri(t, aliceAOR)}, sip.CallID("storm"),
			sip.CSeq{Seq: 1, Method: "MESSAGE"}, sip.Route{URI: uri(t, "sip:192.0.2.20;lr")}))
		if n := seen.Load(); n > 11 {
			t.Errorf("one MESSAGE became %d", n)
		}
	})
}

// listenProxy is a proxy for example.com that counts what it is asked.
func listenProxy(t testing.TB, host *siptest.Host, location *Registrar, seen *atomic.Int64) {
	t.Helper()
	p, err := proxy.Listen(&transport.Config{
		Listen: []string{"udp:" + netip.AddrPortFrom(host.Addr(), 5060).String()}, Network: host, Resolver: proxyNames{}, Logger: quiet,
	}, &proxy.Config{Domains: []string{"example.com"}, Handler: func(tx *proxy.Server, req *sip.Request) {
		seen.Add(1)
		targets, err := location.Lookup(tx.Context(), req.URI())
		switch {
		case errors.Is(err, ErrNotFound):
			tx.Reply(sip.StatusNotFound)
		case err != nil:
			tx.Reply(sip.StatusServerInternalError)
		default:
			tx.Forward(req, targets...)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
}

// proxyNames knows that example.com is the proxy.
type proxyNames struct{}

func (proxyNames) Lookup(_ context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	a := &resolve.Answer{TTL: time.Minute}
	if t == resolve.TypeA && name == "example.com" {
		a.Addrs = []netip.Addr{netip.MustParseAddr("192.0.2.20")}
	}
	return a, nil
}
