package transport

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// stunServer is a UDP socket that answers Binding requests as it is told to.
type stunServer struct {
	*peerSocket
	mu       sync.Mutex
	requests [][]byte
	at       []time.Duration
	from     []netip.AddrPort
	answer   func(msg []byte, from netip.AddrPort) []byte
}

// stunServer starts one that tells the truth.
func (s *scene) stunServer(h *siptest.Host, address string) *stunServer {
	s.Helper()
	server := &stunServer{peerSocket: s.peerSocket(h, address), answer: stun.Respond}
	go func() { // ends when the socket is closed
		b := make([]byte, 65536)
		for {
			n, addr, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			msg, from := bytes.Clone(b[:n]), addrPort(addr)
			server.mu.Lock()
			if stun.IsMessage(msg) {
				server.requests = append(server.requests, msg)
				server.at = append(server.at, time.Since(s.began))
				server.from = append(server.from, from)
				if answer := server.answer(msg, from); answer != nil {
					server.WriteTo(answer, addr)
				}
			}
			server.mu.Unlock()
		}
	}()
	return server
}

// answers has the server answer in another way from now on.
func (server *stunServer) answers(how func(msg []byte, from netip.AddrPort) []byte) {
	server.mu.Lock()
	defer server.mu.Unlock()
	server.answer = how
}

func (server *stunServer) times() []time.Duration {
	server.mu.Lock()
	defer server.mu.Unlock()
	return server.at
}

// silence answers nothing.
func silence([]byte, netip.AddrPort) []byte { return nil }

// stunError answers that the server has a problem (RFC 8489 section 14.8).
func stunError(msg []byte, _ netip.AddrPort) []byte {
	answer := append([]byte{0x01, 0x11, 0, 8}, msg[4:20]...)
	return append(answer, 0, 9, 0, 4, 0, 0, 5, 0)
}

// onUDP makes bob a client with a UDP flow to a STUN server, which is also a SIP
// server, at alice's.
func (s *scene) onUDP(cfg *KeepAlive) (e *inbox, flow Flow, alice *stunServer, dead *deaths, stop func()) {
	s.Helper()
	alice = s.stunServer(s.alice, aliceAddr)
	e = s.listen(nil)
	flow, _, err := e.SendRequest(background, outgoing(s), target("UDP", aliceAddr), "z9hG4bK1")
	if err != nil {
		s.Fatal(err)
	}
	synctest.Wait()
	s.began = time.Now()
	dead = &deaths{s: s}
	cfg.Dead = dead.dead
	return e, flow, alice, dead, e.KeepAlive(flow, cfg)
}

// RFC 5626 section 4.4.2: a Binding request after 24 to 29 seconds, from the
// SIP socket to the SIP socket.
func TestKeepAliveUDP(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, _, alice, dead, stop := s.onUDP(&KeepAlive{Answered: true})
		s.wait(2 * time.Hour)
		s.between(alice.times(), 24*time.Second, 29*time.Second)
		for _, from := range alice.from {
			if from.String() != bobAddr {
				t.Fatalf("a Binding request came from %v, want %s", from, bobAddr)
			}
		}
		ids := map[stunKey]bool{}
		for _, msg := range alice.requests {
			ids[stunKeyOf(msg)] = true
		}
		if len(ids) != len(alice.requests) {
			t.Errorf("%d transaction IDs for %d requests", len(ids), len(alice.requests))
		}
		stop()
		n := len(alice.times())
		s.wait(time.Hour)
		if got := len(alice.times()); got != n {
			t.Errorf("%d requests after stop", got-n)
		}
		dead.want(nil)
		s.stats(e, Stats{Sent: 1})
		s.quiet(e)
	})
}

// quiet checks that nothing is remembered of Binding requests and keepalives.
func (s *scene) quiet(e *inbox) {
	s.Helper()
	e.Endpoint.mu.Lock()
	defer e.Endpoint.mu.Unlock()
	if len(e.stun) != 0 || len(e.watchers) != 0 {
		s.Errorf("%d Binding requests and %d keepalives are remembered, want none", len(e.stun), len(e.watchers))
	}
}

// A request is sent again until it is answered (RFC 8489 section 6.2.1). If it
// never is, the flow has failed (RFC 5626 section 4.4.2).
func TestKeepAliveUDPRetransmits(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, _, alice, dead, _ := s.onUDP(&KeepAlive{Answered: true, Interval: time.Minute})
		n := 0
		alice.answers(func(msg []byte, from netip.AddrPort) []byte {
			if n++; n%7 != 0 { // the first six of each request are lost
				return nil
			}
			return stun.Respond(msg, from)
		})
		s.wait(30 * time.Minute)
		dead.want(nil)
		at := alice.times()
		for i, want := range []time.Duration{0, 500, 1500, 3500, 7500, 15500, 31500} {
			if got := at[i] - at[0]; got != want*time.Millisecond {
				t.Errorf("transmission %d after %v, want %v ms", i+1, got, want)
			}
		}

		alice.answers(silence)
		s.wait(10 * time.Minute)
		dead.want(ErrNoPong)
		dead.want(stun.ErrTimeout)
		at = alice.times()
		if got, want := dead.at[0], at[len(at)-1]+8*time.Second; got != want {
			t.Errorf("dead at %v, want 8 s after the last transmission, at %v", got, want)
		}
		n = len(at)
		s.wait(time.Hour)
		if got := len(alice.times()); got != n {
			t.Errorf("%d requests on a dead flow", got-n)
		}
		s.quiet(e)
	})
}

// RFC 5626 section 4.4.2: another mapped address, and an error response, are
// failures of the flow.
func TestKeepAliveUDPFails(t *testing.T) {
	other := netip.MustParseAddrPort("203.0.113.77:1234")
	var refused *stun.Error
	for _, c := range []struct {
		name   string
		answer func([]byte, netip.AddrPort) []byte
		is     func(error) bool
	}{
		{"another address", func(msg []byte, _ netip.AddrPort) []byte { return stun.Respond(msg, other) },
			func(err error) bool { return errors.Is(err, ErrRebound) }},
		{"another port", func(msg []byte, from netip.AddrPort) []byte {
			return stun.Respond(msg, netip.AddrPortFrom(from.Addr(), from.Port()+1))
		}, func(err error) bool { return errors.Is(err, ErrRebound) }},
		{"an error", stunError, func(err error) bool {
			return errors.Is(err, ErrNoPong) && errors.As(err, &refused) && refused.Code == 500
		}},
		{"no address", func(msg []byte, _ netip.AddrPort) []byte { return append([]byte{1, 1, 0, 0}, msg[4:20]...) },
			func(err error) bool { return errors.Is(err, ErrNoPong) && errors.Is(err, stun.ErrBadAnswer) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e, _, alice, dead, _ := s.onUDP(&KeepAlive{Answered: true})
				s.wait(10 * time.Minute)
				dead.want(nil)
				alice.answers(c.answer)
				s.wait(time.Minute)
				if got := dead.all(); len(got) != 1 || !c.is(got[0]) {
					t.Errorf("told %v", got)
				}
				s.quiet(e)
			})
		})
	}
}

// Answers that a third party makes up change nothing: from another address, or
// with a transaction ID that was not asked for.
func TestForgedSTUNAnswers(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, _, alice, dead, _ := s.onUDP(&KeepAlive{Answered: true})
		eve := s.peerSocket(s.n.Host("192.0.2.66"), "192.0.2.66:5060")
		sameHost := s.peerSocket(s.alice, "192.0.2.1:5062")
		lie := netip.MustParseAddrPort("192.0.2.66:5060")
		alice.answers(func(msg []byte, from netip.AddrPort) []byte {
			eve.send(string(stun.Respond(msg, lie)), bobAddr)
			sameHost.send(string(stun.Respond(msg, lie)), bobAddr)
			eve.send(string(stunError(msg, lie)), bobAddr)
			wrong := stun.Respond(msg, lie)
			wrong[12] ^= 1
			alice.send(string(wrong), bobAddr)
			truth := stun.Respond(msg, from)
			alice.send(string(truth), bobAddr)
			alice.send(string(stun.Respond(msg, lie)), bobAddr) // too late
			return truth
		})
		s.wait(time.Hour)
		dead.want(nil)
		if n := len(alice.times()); n < 100 || n > 151 {
			t.Errorf("%d requests in an hour, want one every 24 to 29 seconds", n)
		}
		s.stats(e, Stats{Sent: 1}) // and nothing of it is SIP
		s.none(e)
	})
}

// A server that is not known to speak STUN gets CRLFs, for the NATs on the way.
func TestKeepAliveUDPWithoutAnswers(t *testing.T) {
	play(t, &siptestRecord, func(s *scene) {
		_, _, _, dead, stop := s.onUDP(&KeepAlive{})
		s.wait(10 * time.Minute)
		dead.want(nil)
		stop()
		n := 0
		for _, p := range s.n.Packets() {
			if text := string(p.Data); p.From.String() == bobAddr && !strings.HasPrefix(text, "OPTIONS") {
				if n++; text != "\r\n\r\n" {
					t.Errorf("sent %q, want CRLF CRLF", text)
				}
			}
		}
		if n < 600/29 || n > 600/24 {
			t.Errorf("%d keepalives in ten minutes, want one every 24 to 29 seconds", n)
		}
	})
}

// Close ends the keepalives of UDP flows, also one that waits for an answer.
func TestKeepAliveUDPEnds(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 35 * time.Second} {
		play(t, nil, func(s *scene) {
			e, flow, alice, dead, _ := s.onUDP(&KeepAlive{Answered: true})
			alice.answers(silence)
			stopped := &deaths{s: s}
			e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: stopped.dead})()
			s.wait(after)
			e.Close()
			dead.want(ErrClosed)
			stopped.want(nil)
			n := len(alice.times())
			s.wait(time.Hour)
			if got := len(alice.times()); got != n {
				t.Errorf("%d requests after Close", got-n)
			}
		})
	}
}

// behind puts bob behind a NAT, with an endpoint at his private address.
func (s *scene) behind(config *siptest.NATConfig, cfg Config) (*siptest.NAT, *inbox) {
	box := s.n.NAT("203.0.113.1", config)
	cfg.Listen = []string{"udp:10.0.0.2:5060"}
	cfg.Network = box.Host("10.0.0.2")
	return box, s.listen(&cfg)
}

// The four NATs of RFC 3489, each of which gives other ports than asked for.
var nats = map[string]*siptest.NATConfig{
	"full cone":            {NewPorts: true},
	"restricted cone":      {NewPorts: true, Filtering: siptest.AddressDependent},
	"port restricted cone": {NewPorts: true, Filtering: siptest.AddressAndPortDependent},
	"symmetric":            {NewPorts: true, Mapping: siptest.AddressAndPortDependent, Filtering: siptest.AddressAndPortDependent},
}

// A phone behind a NAT that forgets after 30 seconds is called on its flow for
// three minutes if it keeps the flow alive, and not otherwise.
func TestReachableBehindNAT(t *testing.T) {
	for name, config := range nats {
		for _, keep := range []*KeepAlive{{Answered: true}, {}, nil} {
			label := name + ", with CRLFs"
			if keep == nil {
				label = name + ", not kept alive"
			} else if keep.Answered {
				label = name + ", with STUN"
			}
			t.Run(label, func(t *testing.T) {
				play(t, &siptest.NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
					// The registrar is an Endpoint, and calls back on the flow.
					var registered Flow
					alice := s.listen(&Config{Listen: []string{"udp:" + aliceAddr}, Network: s.alice, Handle: func(in *Inbound) {
						if _, isRequest := in.Message.(*sip.Request); isRequest {
							registered = in.Flow
						}
					}})
					var e *inbox
					_, e = s.behind(config, Config{Handle: func(in *Inbound) { ok(&e)(in) }})
					flow, _, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
					if err != nil {
						t.Fatal(err)
					}
					s.wait(time.Second)
					dead := &deaths{s: s}
					if keep != nil {
						cfg := *keep
						cfg.Dead = dead.dead
						e.KeepAlive(flow, &cfg)
					}
					for i := range 6 {
						s.wait(29900 * time.Millisecond)
						alice.take()
						e.take()
						out, err := alice.PrepareOn(background, outgoing(t), registered, "z9hG4bK2")
						if err == nil {
							err = alice.Send(registered, out)
						}
						if err != nil {
							t.Fatal(err)
						}
						s.wait(time.Second)
						// A call that is answered keeps the binding alive as well.
						if got, want := len(alice.take()), 1; keep != nil && got != want {
							t.Errorf("%d answers to call %d, want %d", got, i+1, want)
						} else if keep == nil && got != 0 {
							t.Errorf("call %d was answered", i+1)
						}
						if keep == nil { // and then it is too late
							s.wait(time.Second)
						}
					}
					dead.want(nil)
				})
			})
		}
	}
}

// A NAT that starts again, or gets another address, is found out by the next
// keepalive.
func TestRebound(t *testing.T) {
	for name, happen := range map[string]func(*siptest.NAT){
		"started again":   (*siptest.NAT).Reboot,
		"another address": func(box *siptest.NAT) { box.Move("203.0.113.2") },
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				s.stunServer(s.alice, aliceAddr)
				box, e := s.behind(&siptest.NATConfig{NewPorts: true}, Config{})
				flow, _, err := e.SendRequest(background, outgoing(t), target("UDP", aliceAddr), "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				dead := &deaths{s: s}
				e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
				s.wait(time.Minute)
				happen(box)
				s.wait(30 * time.Second)
				dead.want(ErrRebound)
			})
		})
	}
}

// RFC 5626 section 5.4: an edge proxy answers Binding requests on its SIP
// socket. Each has one answer, which is not much larger, and only where one is
// due.
func TestSTUNOnTheSIPSocket(t *testing.T) {
	const request = "\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl"
	for _, c := range []struct {
		name, text string
		answer     string // start of what comes back; "" for silence
		want       Stats
	}{
		{"a request", request, "\x01\x01\x00\x0c\x21\x12\xa4\x42abcdefghijkl\x00\x20\x00\x08\x00\x01", Stats{}},
		{"an attribute that has to be understood", "\x00\x01\x00\x04\x21\x12\xa4\x42abcdefghijkl\x00\x03\x00\x00", "\x01\x11\x00", Stats{}},
		{"a response to nothing", "\x01\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl", "", Stats{}},
		{"an error response to nothing", "\x01\x11\x00\x00\x21\x12\xa4\x42abcdefghijkl", "", Stats{}},
		{"an indication", "\x00\x11\x00\x00\x21\x12\xa4\x42abcdefghijkl", "", Stats{}},
		{"TURN's Allocate", "\x00\x03\x00\x00\x21\x12\xa4\x42abcdefghijkl", "", Stats{}},
		{"an attribute beyond the message", "\x00\x01\x00\x04\x21\x12\xa4\x42abcdefghijkl\x80\x22\x00\x08", "", Stats{}},
		{"a wrong FINGERPRINT", "\x00\x01\x00\x08\x21\x12\xa4\x42abcdefghijkl\x80\x28\x00\x04aaaa", "", Stats{}},
		{"USERNAME of 600 bytes", "\x00\x01\x02\x5c\x21\x12\xa4\x42abcdefghijkl\x00\x06\x02\x58" + strings.Repeat("x", 600), "\x01", Stats{}},
		// Not STUN, so SIP, and malformed.
		{"too short", request[:19], "", Stats{MalformedRequests: 1}},
		{"a header alone, cut", request[:8], "", Stats{MalformedRequests: 1}},
		{"no magic cookie", "\x00\x01\x00\x00abcdabcdefghijkl", "", Stats{MalformedRequests: 1}},
		{"a length of 3", "\x00\x01\x00\x03\x21\x12\xa4\x42abcdefghijklxyz", "", Stats{MalformedRequests: 1}},
		{"longer than it says", request + "abcd", "", Stats{MalformedRequests: 1}},
		{"shorter than it says", "\x00\x01\x00\x08\x21\x12\xa4\x42abcdefghijkl", "", Stats{MalformedRequests: 1}},
		{"ChannelData of TURN", "\x40\x01\x00\x04abcd", "", Stats{MalformedRequests: 1}},
		{"DTLS", "\x16\xfe\xfd\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04abcd", "", Stats{MalformedRequests: 1}},
		{"RTP", "\x80\x00\x00\x01\x00\x00\x00\xa0\x00\x00\x00\x01abcd", "", Stats{MalformedRequests: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.listen(nil)
				alice := s.peerSocket(s.alice, aliceAddr)
				alice.send(c.text, bobAddr)
				s.none(e)
				text, from := alice.receive()
				if !strings.HasPrefix(text, c.answer) || text != "" && c.answer == "" {
					t.Errorf("answered %q, want %q", text, c.answer)
				}
				if text != "" && from != bobAddr {
					t.Errorf("answered from %s, want %s", from, bobAddr)
				}
				if len(text) > 2*len(c.text) {
					t.Errorf("%d bytes are answered with %d", len(c.text), len(text))
				}
				if more, _ := alice.receive(); more != "" {
					t.Errorf("answered with %q as well", more)
				}
				s.stats(e, c.want)
			})
		})
	}
}
