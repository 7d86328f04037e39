package ua_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// movedTo is a host at which calls are told to go movedTo, or are not taken. It is known by
// what it says to an INVITE.
type movedTo struct {
	tried []string // the Request-URIs that came, in order, at all hosts
	seqs  []uint32
	body  []string
}

// at answers the INVITEs for a host with a script.
func (m *movedTo) at(t *testing.T, n *siptest.Network, addr string, script func(*transaction.Server, *sip.Request)) {
	newPeer(t, n, addr, func(tx *transaction.Server, req *sip.Request) {
		if req.Method() != sip.INVITE {
			tx.Reply(sip.StatusOK)
			return
		}
		m.tried = append(m.tried, req.URI().String())
		m.seqs = append(m.seqs, req.CSeq().Seq)
		m.body = append(m.body, req.Body())
		script(tx, req)
	})
}

// to refuses with the Contacts, as they are written.
func to(status sip.Status, contacts ...string) func(*transaction.Server, *sip.Request) {
	return func(tx *transaction.Server, _ *sip.Request) {
		var all []sip.Contact
		for _, c := range contacts {
			contact, err := sip.Contact{}.ParseValue(c)
			if err != nil {
				panic(err)
			}
			all = append(all, contact)
		}
		tx.Reply(status, sip.List(all...))
	}
}

// Where a call goes that is redirected, and what comes of it.
func TestRedirects(t *testing.T) {
	many := make([]string, 100)
	for i := range many {
		many[i] = fmt.Sprintf("<sip:%d@192.0.2.9>", i)
	}
	busy := func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusBusyHere) }
	ring := func(tx *transaction.Server, _ *sip.Request) {
		tx.Reply(sip.StatusSessionProgress, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
		time.Sleep(time.Second)
		to(302, "<sip:c@192.0.2.3>")(tx, nil)
	}
	for _, test := range []struct {
		name   string
		first  func(*transaction.Server, *sip.Request) // 192.0.2.2
		second func(*transaction.Server, *sip.Request) // 192.0.2.3; nil answers
		most   int
		want   error
		tried  string // after the first
	}{
		{name: "302", first: to(302, "<sip:c@192.0.2.3>"), tried: "sip:c@192.0.2.3"},
		{name: "301", first: to(301, "<sip:c@192.0.2.3>"), tried: "sip:c@192.0.2.3"},
		{name: "after early media", first: ring, tried: "sip:c@192.0.2.3"},
		{name: "305 by a proxy", first: to(305, "<sip:192.0.2.3>"), tried: "sip:bob@192.0.2.2"},
		{name: "380", first: to(380, "<sip:c@192.0.2.3>"), want: sip.StatusAlternativeService},
		{name: "no Contact", first: to(302), want: sip.Status(302)},
		{name: "by preference", first: to(300, "<sip:last@192.0.2.3>;q=0.1", "<sip:b@192.0.2.9>", "<sip:nobody@192.0.2.8>;q=0.9"),
			tried: "sip:b@192.0.2.9, sip:last@192.0.2.3"},
		{name: "to itself", first: to(302, "<sip:bob@192.0.2.2>"), want: sip.Status(302)},
		{name: "loop", first: to(302, "<sip:c@192.0.2.3>"), second: to(302, "<sip:bob@192.0.2.2>"), want: sip.Status(302), tried: "sip:c@192.0.2.3"},
		{name: "header fields and a method", first: to(302, "<sip:c@192.0.2.3;method=BYE?Via=x&Subject=spam>"), tried: "sip:c@192.0.2.3"},
		{name: "other schemes", first: to(302, "<tel:+1>", "<mailto:x@y.example>", "<sip:c@192.0.2.3>"), tried: "sip:c@192.0.2.3"},
		{name: "hundred places", first: to(300, many...), want: sip.StatusBusyHere,
			tried: "sip:0@192.0.2.9, sip:1@192.0.2.9, sip:2@192.0.2.9, sip:3@192.0.2.9, sip:4@192.0.2.9"},
		{name: "two at most", most: 2, first: to(300, many...), want: sip.StatusBusyHere, tried: "sip:0@192.0.2.9, sip:1@192.0.2.9"},
		{name: "none at most", most: -1, first: to(302, "<sip:c@192.0.2.3>"), want: sip.Status(302)},
		{name: "busy everywhere", first: to(300, "<sip:a@192.0.2.9>", "<sip:c@192.0.2.3>"),
			second: func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusDecline) },
			want:   sip.StatusDecline, tried: "sip:a@192.0.2.9, sip:c@192.0.2.3"},
		{name: "decline is for all", first: to(300, "<sip:c@192.0.2.3>", "<sip:a@192.0.2.9>"),
			second: func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusDecline) },
			want:   sip.StatusDecline, tried: "sip:c@192.0.2.3"},
		{name: "who is not there", first: to(300, "<sip:a@192.0.2.77>", "<sip:c@192.0.2.3>"), tried: "sip:c@192.0.2.3"},
		{name: "who has no address", first: to(300, "<sip:a@nowhere.invalid>", "<sip:c@192.0.2.3>"), tried: "sip:c@192.0.2.3"},
		{name: "nobody is there", first: to(300, "<sip:a@192.0.2.77>"), want: transaction.ErrTimeout},
		{name: "redirected again", first: to(300, "<sip:c@192.0.2.3>", "<sip:z@192.0.2.9>"), second: to(302, "<sip:y@192.0.2.9>"),
			want: sip.StatusBusyHere, tried: "sip:c@192.0.2.3, sip:y@192.0.2.9, sip:z@192.0.2.9"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var m movedTo
				m.at(t, n, "192.0.2.2", test.first)
				if test.second == nil {
					test.second = func(tx *transaction.Server, req *sip.Request) {
						if _, there := req.Value("Subject"); there {
							t.Error("the INVITE has a Subject of somebody else")
						}
						tx.Reply(sip.StatusOK, contactAt("192.0.2.3"), describe("192.0.2.3", 1, "audio 5000 RTP/AVP 0"))
					}
				}
				m.at(t, n, "192.0.2.3", test.second)
				m.at(t, n, "192.0.2.9", busy)
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				s := newStream(t)
				opts := streams(s)
				opts.MaxRedirects = test.most
				call, err := alice.Invite(t.Context(), bobURI, opts)
				fails := test.want != nil
				if (err != nil) != fails || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("Invite() = %v, want %v", err, test.want)
				}
				if len(m.tried) > 0 {
					if got := strings.Join(m.tried[1:], ", "); got != test.tried {
						t.Errorf("the call went to %s, want %s", got, test.tried)
					}
				}
				for i := 1; i < len(m.seqs); i++ {
					if m.seqs[i] <= m.seqs[i-1] || m.body[i] != m.body[0] || m.body[i] == "" {
						t.Errorf("INVITE %d has the number %d after %d and offers %q after %q", i, m.seqs[i], m.seqs[i-1], m.body[i], m.body[0])
					}
				}
				s.told()
				s.check(t, "caller", "", fails)
				if !fails {
					call.Hangup(t.Context())
				}
			})
		})
	}
}

// Who is called names a proxy that is not ours, which asks for the password: it learns
// nothing of it, by name or by address, and nothing of who Alice is at home.
func TestRedirectToForeignProxy(t *testing.T) {
	for _, proxy := range []string{"", "sip:192.0.2.4"} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			asked := 0
			mallory := func(tx *transaction.Server, req *sip.Request) {
				asked++
				for _, name := range []string{"Proxy-Authorization", "P-Preferred-Identity"} {
					if v, ok := req.Value(name); ok {
						t.Errorf("%s at the proxy of somebody else: %s", name, v)
					}
				}
				tx.Reply(sip.StatusProxyAuthRequired, sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="a.example", nonce="n", qop="auth"`})
			}
			var m movedTo
			for _, addr := range []string{"192.0.2.2", "192.0.2.4"} {
				m.at(t, n, addr, to(305, "<sip:192.0.2.3>"))
			}
			m.at(t, n, "192.0.2.3", mallory)
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Password: "secret", Proxy: proxy})
			for range 2 { // the address, too, is nobody's that we know
				opts := streams(newStream(t))
				opts.Header = []sip.Edit{sip.PPreferredIdentity{URI: sip.URI{Scheme: "sip", User: "desk", Host: "a.example"}}}
				if _, err := alice.Invite(t.Context(), bobURI, opts); !errors.Is(err, digest.ErrUnexpectedRealm) {
					t.Errorf("Invite() = %v, want ErrUnexpectedRealm", err)
				}
			}
			if asked != 2 {
				t.Errorf("the proxy has asked %d times, want 2", asked)
			}
		})
	}
}

// Each branch of the INVITE that was redirected is over before the next is placed, and the
// program cancels between the two.
func TestRedirectCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		ctx, cancel := context.WithCancel(t.Context())
		var m movedTo
		m.at(t, n, "192.0.2.2", func(tx *transaction.Server, _ *sip.Request) {
			cancel()
			to(302, "<sip:c@192.0.2.3>")(tx, nil)
		})
		m.at(t, n, "192.0.2.3", func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) })
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		if _, err := alice.Invite(ctx, bobURI, streams(s)); !errors.Is(err, context.Canceled) {
			t.Errorf("Invite() = %v, want the error of the context", err)
		}
		time.Sleep(time.Minute)
		if len(m.tried) != 1 {
			t.Errorf("the call went to %v", m.tried)
		}
		s.check(t, "caller", "", true)
	})
}

// Our own server asks for the password and then redirects. Where that leads to, the password
// is asked for, too, and is not given: it is no server of ours.
func TestRedirectWithCredentials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		challenge := sip.Add(sip.Field{Name: "WWW-Authenticate", Value: `Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"`})
		var m movedTo
		m.at(t, n, "192.0.2.100", func(tx *transaction.Server, req *sip.Request) {
			if _, given := req.Value("Authorization"); given {
				to(302, "<sip:c@192.0.2.3>")(tx, req)
			} else {
				tx.Reply(sip.StatusUnauthorized, challenge)
			}
		})
		m.at(t, n, "192.0.2.3", func(tx *transaction.Server, req *sip.Request) {
			if _, given := req.Value("Authorization"); given {
				t.Error("a stranger got to see a digest")
			}
			tx.Reply(sip.StatusUnauthorized, challenge)
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@192.0.2.100", ua.Config{Password: "secret", Realm: "r"})
		s := newStream(t)
		_, err := alice.Invite(t.Context(), "sip:bob@192.0.2.100", streams(s))
		if !errors.Is(err, digest.ErrUnexpectedRealm) || !errors.Is(err, sip.StatusUnauthorized) {
			t.Errorf("Invite() = %v, want ErrUnexpectedRealm", err)
		}
		if got := fmt.Sprint(m.seqs); got != "[1 2 3]" {
			t.Errorf("the INVITEs have the numbers %s, want 1 to 3", got)
		}
		s.check(t, "caller", "", true)
	})
}

// Alice has an IPv4 and an IPv6 address. A phone at 192.0.2.2 sends the call on to one that
// only knows IPv6: what that is offered names where it reaches Alice, and not where the first
// one would have.
func TestRedirectToOtherFamily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var m movedTo
		m.at(t, n, "192.0.2.2", to(302, "<sip:c@[2001:db8::3]>"))
		m.at(t, n, "2001:db8::3", func(tx *transaction.Server, req *sip.Request) {
			if c := contactOf(t, req); c.Host != "[2001:db8::1]" {
				t.Errorf("the Contact is %v", c)
			}
			tx.Reply(sip.StatusOK, contactAt("[2001:db8::3]"), sip.Body{Type: "application/sdp",
				Content: "v=0\r\no=- 1 1 IN IP6 2001:db8::3\r\ns=-\r\nc=IN IP6 2001:db8::3\r\nt=0 0\r\nm=audio 5000 RTP/AVP 0\r\n"})
		})
		alice, err := ua.New("sip:alice@a.example", &ua.Config{
			Network: twoHosts{n.Host("192.0.2.1"), n.Host("2001:db8::1")},
			Listen:  []string{"udp:192.0.2.1:5060", "udp:[2001:db8::1]:5060"}, Logger: quiet,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer alice.Close()
		s := newStream(t)
		call, err := alice.Invite(t.Context(), bobURI, streams(s))
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"IN IP4 192.0.2.1\r\n", "IN IP6 2001:db8::1\r\n"} {
			if got := strings.Count(m.body[i], want); got != 2 {
				t.Errorf("offer %d names %q %d times, want o= and c=:\n%s", i, want, got, m.body[i])
			}
		}
		s.check(t, "Alice's", "sendrecv 2001:db8::3:5000", false)
		if err := call.Hold(t.Context()); err != nil {
			t.Error(err)
		}
		call.Hangup(t.Context())
	})
}

// twoHosts is a machine with an IPv4 and an IPv6 address.
type twoHosts struct{ v4, v6 *siptest.Host }

func (h twoHosts) of(address string) *siptest.Host {
	if strings.HasPrefix(address, "[") {
		return h.v6
	}
	return h.v4
}

func (h twoHosts) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	return h.of(address).ListenPacket(ctx, network, address)
}

func (h twoHosts) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	return h.of(address).Listen(ctx, network, address)
}

func (h twoHosts) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	return h.of(address).DialContext(ctx, network, address)
}
