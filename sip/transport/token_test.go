package transport

import (
	"encoding/base64"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// flowKey is a key that two runs of a program have in common.
var flowKey = []byte("0123456789abcdef0123456789abcdef")

// fits checks that a token stands in the user part of a URI as it is (RFC 5626
// section 5.2).
func fits(t testing.TB, token string) {
	t.Helper()
	uri, err := sip.ParseURI("sip:" + token + "@192.0.2.2;lr")
	if err != nil || uri.User != token || token == "" {
		t.Errorf("token %q in a URI: user %q, %v", token, uri.User, err)
	}
	if built := (sip.URI{Scheme: "sip", User: token, Host: "192.0.2.2"}).String(); !strings.Contains(built, token+"@") {
		t.Errorf("token %q is escaped: %s", token, built)
	}
}

// A token of a UDP flow leads to its peer, by the socket of the flow.
func TestFlowTokenUDP(t *testing.T) {
	play(t, nil, func(s *scene) {
		network := twoAddresses{s.bob, s.n.Host("2001:db8::2")}
		cfg := Config{Network: network, FlowKey: flowKey, Listen: []string{"udp:192.0.2.2:5060", "udp:192.0.2.2:5070", "udp:[2001:db8::2]:5060"}}
		e := s.listen(&cfg)
		alice := s.peerSocket(s.alice, aliceAddr)
		alice6 := s.peerSocket(s.n.Host("2001:db8::1"), "[2001:db8::1]:5060")
		alice.send(message(options), "192.0.2.2:5060")
		synctest.Wait() // to be read in this order
		alice.send(message(options), "192.0.2.2:5070")
		synctest.Wait()
		alice6.send(message(options), "[2001:db8::2]:5060")
		var tokens []string
		for _, in := range e.take() {
			token := e.FlowToken(in.Flow)
			fits(t, token)
			if flow, err := e.FlowOf(token); err != nil || flow != in.Flow {
				t.Errorf("FlowOf(FlowToken(%v)) = %v, %v", in.Flow, flow, err)
			}
			tokens = append(tokens, token)
		}
		if len(tokens) != 3 || tokens[0] == tokens[1] {
			t.Fatalf("tokens are %q, want three", tokens)
		}
		e.Close()

		// With the same key a program knows them again when it is started anew.
		again := s.listen(&cfg)
		for i, want := range []string{
			"UDP 192.0.2.2:5060 to 192.0.2.1:5060", "UDP 192.0.2.2:5070 to 192.0.2.1:5060", "UDP [2001:db8::2]:5060 to [2001:db8::1]:5060",
		} {
			flow, err := again.FlowOf(tokens[i])
			if err != nil || flow.String() != want {
				t.Errorf("after a restart, FlowOf = %v, %v, want %s", flow, err, want)
			}
		}
		flow, _ := again.FlowOf(tokens[1])
		if err := again.Send(flow, outgoing(t)); err != nil {
			t.Error(err)
		}
		if text, from := alice.receive(); from != "192.0.2.2:5070" {
			t.Errorf("%q came from %s, want the second socket", text, from)
		}
		again.Close()

		// The socket is not there any more.
		cfg.Listen = []string{"udp:192.0.2.2:5060"}
		moved := s.listen(&cfg)
		if _, err := moved.FlowOf(tokens[1]); !errors.Is(err, ErrNoFlow) || !errors.Is(err, ErrElsewhere) {
			t.Errorf("FlowOf = %v, want ErrNoFlow and ErrElsewhere for a socket that is gone", err)
		}
		// And with no key of its own a program knows none of another run.
		moved.Close()
		cfg.FlowKey = nil
		if _, err := s.listen(&cfg).FlowOf(tokens[0]); !errors.Is(err, ErrToken) {
			t.Errorf("FlowOf = %v, want ErrToken", err)
		}
	})
}

// A token of a connection leads to that connection for as long as it lives, and
// to no other one: not of the same addresses, not of another run.
func TestFlowTokenOfAConnection(t *testing.T) {
	for _, kind := range []string{"TCP", "TLS", "WS", "WSS"} {
		t.Run(kind, func(t *testing.T) {
			play(t, &siptest.NetworkConfig{}, func(s *scene) {
				server, client := s.secure()
				cfg := Config{Listen: []string{strings.ToLower(kind) + ":" + bobAddr}, TLS: server, FlowKey: flowKey}
				e := s.listen(&cfg)
				phone := s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client})
				if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
				in := s.one(e)
				token := e.FlowToken(in.Flow)
				fits(t, token)
				flow, err := e.FlowOf(token)
				if err != nil || flow != in.Flow {
					t.Errorf("FlowOf(FlowToken(%v)) = %v, %v", in.Flow, flow, err)
				}
				if out, err := e.PrepareOn(background, outgoing(t), flow, "z9hG4bK2"); err != nil {
					t.Error(err)
				} else if err := e.Send(flow, out); err != nil {
					t.Error(err)
				}
				s.one(phone)

				phone.Close()
				synctest.Wait()
				if flow, err := e.FlowOf(token); !errors.Is(err, ErrNoFlow) || errors.Is(err, ErrElsewhere) {
					t.Errorf("FlowOf = %v, %v, want ErrNoFlow alone for a connection that is gone", flow, err)
				}
				e.Close()
				again := s.listen(&cfg)
				phone = s.listen(&Config{Listen: []string{}, Network: s.alice, TLS: client})
				if _, _, err := phone.SendRequest(background, outgoing(t), aliceAt(kind, bobAddr), "z9hG4bK1"); err != nil {
					t.Fatal(err)
				}
				s.one(again)
				if flow, err := again.FlowOf(token); !errors.Is(err, ErrNoFlow) || !errors.Is(err, ErrElsewhere) {
					t.Errorf("after a restart, FlowOf = %v, %v, want ErrNoFlow and ErrElsewhere", flow, err)
				}
			})
		})
	}
}

// A client that connects once more from the same port is not on the old flow.
func TestFlowTokenOfAnOlderConnection(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		connect := func() (net.Conn, Flow) {
			near, far := net.Pipe()
			s.Cleanup(func() { near.Close() })
			remote := net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 40000}
			take(e.Endpoint, renamed{far, &net.TCPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5060}, &remote})
			near.Write([]byte(message(options, tcpVia)))
			return near, s.one(e).Flow
		}
		old, oldFlow := connect()
		_, newFlow := connect()
		oldToken, newToken := e.FlowToken(oldFlow), e.FlowToken(newFlow)
		if oldFlow == newFlow || oldToken == newToken || oldFlow.String() != newFlow.String() {
			t.Fatalf("flows %v and %v, want two of the same addresses", oldFlow, newFlow)
		}
		old.Close()
		synctest.Wait()
		if flow, err := e.FlowOf(oldToken); !errors.Is(err, ErrNoFlow) {
			t.Errorf("the old token: %v, %v, want ErrNoFlow", flow, err)
		}
		if flow, err := e.FlowOf(newToken); err != nil || flow != newFlow {
			t.Errorf("the new token: %v, %v, want the new flow", flow, err)
		}
	})
}

// What is not signed by us is ErrToken, whoever made it and however.
func TestForgedFlowTokens(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{FlowKey: flowKey})
		other := s.listen(&Config{Network: s.alice, Listen: []string{"udp:" + aliceAddr}})
		s.peerSocket(s.alice, "192.0.2.1:5070").send(message(options), bobAddr)
		s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		got := e.take()
		if len(got) != 2 {
			t.Fatal("want two flows")
		}
		none := e.FlowToken(Flow{})
		if f, err := e.FlowOf(none); err != nil || !f.IsZero() {
			t.Errorf("FlowOf(%q) = %v, %v, want the zero Flow", none, f, err)
		}
		forged := map[string]string{
			"empty": "", "10 kB": strings.Repeat("A", 10000), "no base64": "%%%%", "a signature of nothing": strings.Repeat("A", 22),
			"another endpoint's none":   other.FlowToken(Flow{}),
			"another endpoint's":        other.FlowToken(Flow{via: other.udp[0], remote: got[0].Flow.remote}),
			"one byte signed by nobody": base64.RawURLEncoding.EncodeToString(make([]byte, 17)),
		}
		for _, in := range got {
			token := e.FlowToken(in.Flow)
			kind := in.Flow.Transport() + " "
			b, err := base64.RawURLEncoding.DecodeString(token)
			if err != nil {
				t.Fatal(err)
			}
			for i := range len(b) * 8 {
				b[i/8] ^= 1 << (i % 8)
				forged[kind+"with a flipped bit"+string(rune('A'+i))] = base64.RawURLEncoding.EncodeToString(b)
				b[i/8] ^= 1 << (i % 8)
			}
			for i := range len(token) {
				forged[kind+"cut "+token[:i]] = token[:i]
				for _, c := range "A_-z" {
					if changed := token[:i] + string(c) + token[i+1:]; changed != token {
						forged[kind+"changed "+changed] = changed
					}
				}
			}
			forged[kind+"longer"] = token + "A"
			forged[kind+"with a line break"] = token[:10] + "\r\n" + token[10:]
			forged[kind+"padded"] = token + "="
			forged[kind+"escaped"] = "%" + token
		}
		for name, token := range forged {
			if flow, err := e.FlowOf(token); !errors.Is(err, ErrToken) || !flow.IsZero() {
				t.Errorf("%s: FlowOf(%.50q) = %v, %v, want ErrToken", name, token, flow, err)
			}
		}
	})
}

// Another endpoint's flow has no token here, and a key is ours once it is given.
func TestFlowTokenOfAnotherEndpoint(t *testing.T) {
	play(t, nil, func(s *scene) {
		key := []byte("a key")
		e := s.listen(&Config{FlowKey: key})
		other := s.listen(&Config{Network: s.alice, Listen: []string{"udp:" + aliceAddr, "tcp:" + aliceAddr}, FlowKey: key})
		for _, network := range []string{"UDP", "TCP"} {
			flow, _, err := e.SendRequest(background, outgoing(t), target(network, aliceAddr), "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			theirs := s.one(other).Flow
			if token := e.FlowToken(theirs); token != "" {
				got, err := e.FlowOf(token)
				t.Errorf("another's flow %v has a token that leads to %v, %v", theirs, got, err)
			}
			if _, err := e.FlowOf(other.FlowToken(theirs)); !errors.Is(err, ErrElsewhere) {
				t.Errorf("another's token of %v: %v, want ErrElsewhere", theirs, err)
			}
			token := e.FlowToken(flow)
			clear(key)
			if got, err := e.FlowOf(token); got != flow || err != nil {
				t.Errorf("FlowOf = %v, %v, want %v", got, err, flow)
			}
		}
	})
}

// FuzzFlowOf has FlowOf read anything: it does not panic, and knows nothing but
// what FlowToken has made.
func FuzzFlowOf(f *testing.F) {
	n := siptest.NewNetwork(nil)
	e, err := Listen(&Config{Listen: []string{"udp:192.0.2.2:5060"}, Network: n.Host("192.0.2.2"), FlowKey: flowKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { e.Close() })
	flow := Flow{via: e.udp[0], remote: target("UDP", aliceAddr).Addr}
	c := &conn{e: e, kind: viaTCP, id: 1, opened: time.Now()}
	e.byID[1] = c
	good := map[string]Flow{e.FlowToken(flow): flow, e.FlowToken(c.flow()): c.flow()}
	for token := range good {
		f.Add(token, false)
		f.Add(token[:len(token)-1], false)
	}
	f.Add("", true)
	f.Add("u", true)
	f.Add("u\x07\xc0\x00\x02\x02\xc4\x13\x07", true)
	f.Add("c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", true)
	f.Fuzz(func(t *testing.T, token string, sign bool) {
		if sign { // what is read once the signature has proved to be ours
			token = base64.RawURLEncoding.EncodeToString(append(e.tokens.sum([]byte(token)), token...))
			e.FlowOf(token)
			return
		}
		flow, err := e.FlowOf(token)
		if want, ours := good[token]; flow != want || (err == nil) != ours {
			t.Errorf("FlowOf(%q) = %v, %v, want %v", token, flow, err, want)
		}
	})
}
