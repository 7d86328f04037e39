package transport

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
)

// deaths notes what keepalives and Config.Closed tell, with the time.
type deaths struct {
	s    *scene
	mu   sync.Mutex
	errs []error
	at   []time.Duration
}

func (d *deaths) dead(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.errs = append(d.errs, err)
	d.at = append(d.at, time.Since(d.s.began))
}

func (d *deaths) closed(_ Flow, err error) { d.dead(err) }

func (d *deaths) all() []error {
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.errs
}

// want checks that one death was told, for this reason, or none if that is nil.
func (d *deaths) want(reason error) {
	d.s.Helper()
	got := d.all()
	switch {
	case reason == nil && len(got) != 0:
		d.s.Errorf("told that the flow is dead: %v, want nothing", got)
	case reason != nil && (len(got) != 1 || !errors.Is(got[0], reason)):
		d.s.Errorf("told %v, want %v once", got, reason)
	}
}

// pinged is a peer on a stream that answers each ping as it is told to.
type pinged struct {
	*peerStream
	mu     sync.Mutex
	pings  []time.Duration // when they came
	answer func()          // to a ping; nil: nothing
}

// pings has a peer answer pings with a CRLF.
func (s *scene) pings(c *peerStream) *pinged {
	p := &pinged{peerStream: c}
	p.answer = func() { io.WriteString(c, "\r\n") }
	c.SetReadDeadline(time.Time{})
	s.Cleanup(func() { c.Close() })
	go func() { // ends when the connection is closed
		b := make([]byte, 10000)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			p.mu.Lock()
			answer := p.answer
			if string(b[:n]) == "\r\n\r\n" {
				p.pings = append(p.pings, time.Since(s.began))
			} else {
				answer = nil
			}
			p.mu.Unlock()
			if answer != nil {
				answer()
			}
		}
	}()
	return p
}

// answers has the peer answer in another way from now on.
func (p *pinged) answers(how func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = how
}

func (p *pinged) times() []time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pings
}

// client opens a TCP flow of bob's to alice, who answers pings. What bob is told
// of Config.Closed is in closed.
func (s *scene) client(cfg Config) (e *inbox, flow Flow, alice *pinged, closed *deaths) {
	s.Helper()
	closed = &deaths{s: s}
	cfg.Closed = closed.closed
	e = s.listen(&cfg)
	tcp := s.accept(s.alice, aliceAddr)
	flow, _, err := e.SendRequest(background, outgoing(s), target("TCP", aliceAddr), "z9hG4bK1")
	if err != nil {
		s.Fatal(err)
	}
	phone := tcp.all()[0]
	phone.receive()
	s.began = time.Now()
	return e, flow, s.pings(phone), closed
}

// between checks the times between pings.
func (s *scene) between(times []time.Duration, least, most time.Duration) {
	s.Helper()
	lowest, highest := time.Hour, time.Duration(0)
	var before time.Duration
	for _, at := range times {
		lowest, highest = min(lowest, at-before), max(highest, at-before)
		before = at
	}
	if lowest < least || highest > most {
		s.Errorf("pings came after %v to %v, want %v to %v", lowest, highest, least, most)
	}
	if margin := (most - least) / 10; lowest > least+margin || highest < most-margin {
		s.Errorf("%d pings came after %v to %v, want them spread over %v to %v", len(times), lowest, highest, least, most)
	}
}

// RFC 5626 section 4.4.1: a ping after 95 to 120 seconds, each after another
// time. Keepalives keep a connection from being idle, and are nothing else:
// nothing is handed over, nothing traced, and the pongs are not answered.
func TestKeepAlive(t *testing.T) {
	play(t, &siptestRecord, func(s *scene) {
		e, flow, alice, closed := s.client(Config{Idle: 200 * time.Second})
		dead := &deaths{s: s}
		stop := e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
		s.wait(6 * time.Hour)
		s.between(alice.times(), 95*time.Second, 120*time.Second)
		dead.want(nil)
		closed.want(nil)
		s.stats(e, Stats{Sent: 1})
		for _, p := range s.n.Packets() {
			if p.Network == "tcp" && p.From.String() == aliceAddr && string(p.Data) != "\r\n" || p.To.String() == aliceAddr && string(p.Data) == "\r\n" {
				t.Fatalf("%v sent %q", p.From, p.Data)
			}
		}

		stop()
		n := len(alice.times())
		s.wait(time.Hour)
		if got := len(alice.times()); got != n {
			t.Errorf("%d pings after stop", got-n)
		}
		dead.want(nil)
		closed.want(os.ErrDeadlineExceeded)
	})
}

// A Flow-Timer header field names another time: 80 to 100 % of it.
func TestKeepAliveInterval(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, _ := s.client(Config{})
		e.KeepAlive(flow, &KeepAlive{Interval: 600 * time.Second, Answered: true})
		s.wait(48 * time.Hour)
		s.between(alice.times(), 480*time.Second, 600*time.Second)
	})
}

// RFC 5626 section 4.4.1: without a pong for 10 seconds the flow has failed.
// Whoever keeps it alive is told, and Config.Closed.
func TestNoPong(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, closed := s.client(Config{})
		dead, other := &deaths{s: s}, &deaths{s: s}
		e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
		e.KeepAlive(flow, &KeepAlive{Interval: -1, Dead: other.dead})
		s.wait(10 * time.Minute)
		dead.want(nil)
		s.n.Cut(s.alice, s.bob)
		n := len(alice.times())
		s.wait(time.Hour)
		for _, d := range []*deaths{dead, other, closed} {
			d.want(ErrNoPong)
			if at := d.at[0]; at < 10*time.Minute+10*time.Second || at > 12*time.Minute+10*time.Second {
				t.Errorf("told at %v, want it within 2 minutes and 10 seconds", at)
			}
		}
		if got := len(alice.times()); got != n {
			t.Errorf("%d pings arrived by a path that is cut", got-n)
		}
		if err := e.Send(flow, outgoing(t)); !errors.Is(err, ErrNoFlow) || !errors.Is(err, ErrNoPong) {
			t.Errorf("Send = %v, want ErrNoFlow for ErrNoPong", err)
		}
		s.tables(e, 0, 0)
	})
}

// said is what a peer says, and how long after a ping.
type said struct {
	after time.Duration
	text  string
}

// says has the peer answer a ping with all of that.
func (p *pinged) says(what ...said) {
	p.answers(func() {
		for _, w := range what {
			time.AfterFunc(w.after, func() { io.WriteString(p, w.text) })
		}
	})
}

// A pong is in time within 10 seconds, in whatever pieces it comes and whatever
// comes before it. One that is due while a message comes in is waited for until
// the message is there, however slow it is (RFC 5626 section 4.4.1).
func TestPongs(t *testing.T) {
	text := message(options, tcpVia)
	broken := message(options, tcpVia, "Call-ID:")
	for _, c := range []struct {
		name string
		says []said
	}{
		{"late", []said{{10*time.Second - time.Millisecond, "\r\n"}}},
		{"in pieces", []said{{0, "\r"}, {9 * time.Second, "\n"}}},
		{"behind a message", []said{{0, text}, {9 * time.Second, "\r\n"}}},
		{"behind a message in pieces", []said{{0, text[:100]}, {9 * time.Second, text[100:] + "\r\n"}}},
		{"behind a message that takes longer", []said{{0, text[:100]}, {20*time.Second + 1, text[100:] + "\r\n"}}},
		{"behind a malformed message", []said{{0, broken + "\r\n"}}},
		{"in front of a message", []said{{0, "\r\n" + text}}},
		{"twice", []said{{0, "\r\n\r\n"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e, flow, alice, closed := s.client(Config{})
				dead := &deaths{s: s}
				alice.says(c.says...)
				e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
				s.wait(time.Hour)
				dead.want(nil)
				closed.want(nil)
				if n := len(alice.times()); n < 25 {
					t.Errorf("%d pings in an hour, want 25 or more", n)
				}
			})
		})
	}
	for _, c := range []struct {
		name string
		says []said
		dead time.Duration // after the ping
	}{
		{"nothing", nil, 10 * time.Second},
		{"a message", []said{{0, text}}, 10 * time.Second},
		{"a malformed message", []said{{0, broken}}, 10 * time.Second},
		{"a pong too late", []said{{10*time.Second + 1, "\r\n"}}, 10 * time.Second},
		{"a message that takes longer", []said{{5 * time.Second, text[:100]}, {15*time.Second - 1, text[100:]}}, 15 * time.Second},
	} {
		t.Run("no pong but "+c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e, flow, alice, closed := s.client(Config{})
				dead := &deaths{s: s}
				alice.says(c.says...)
				e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
				s.wait(time.Hour)
				dead.want(ErrNoPong)
				closed.want(ErrNoPong)
				if got, want := dead.at[0], alice.times()[0]+c.dead; got != want {
					t.Errorf("dead at %v, want %v after the ping, at %v", got, c.dead, want)
				}
			})
		})
	}
	// A message that does not end is no excuse for longer than it may take.
	play(t, nil, func(s *scene) {
		e, flow, alice, _ := s.client(Config{})
		dead := &deaths{s: s}
		alice.says(said{0, text[:100]})
		e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
		s.wait(time.Hour)
		dead.want(os.ErrDeadlineExceeded)
		if got, want := dead.at[0], alice.times()[0]+messageTimeout; got != want {
			t.Errorf("dead at %v, want %v", got, want)
		}
	})
}

// Both ends may ping, and at the same time: each ping has one pong, and pongs
// have none.
func TestBothPing(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: 50 * time.Millisecond, Record: true}, func(s *scene) {
		var there Flow
		alice := s.listen(&Config{Listen: []string{"tcp:" + aliceAddr}, Network: s.alice, Handle: func(in *Inbound) { there = in.Flow }})
		bob := s.listen(nil)
		here, _, err := bob.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		s.wait(time.Second)
		dead := &deaths{s: s}
		bob.KeepAlive(here, &KeepAlive{Answered: true, Dead: dead.dead})
		alice.KeepAlive(there, &KeepAlive{Interval: 20 * time.Second, Answered: true, Dead: dead.dead})
		s.wait(24 * time.Hour)
		dead.want(nil)
		pings, pongs := map[string]int{}, map[string]int{}
		for _, p := range s.n.Packets() {
			for text := string(p.Data); p.Network == "tcp" && len(text) < 10 && text != ""; { // several may go out as one
				if rest, ok := strings.CutPrefix(text, "\r\n\r\n"); ok {
					pings[p.From.String()]++
					text = rest
				} else if rest, ok := strings.CutPrefix(text, "\r\n"); ok {
					pongs[p.To.String()]++
					text = rest
				}
			}
		}
		for from, n := range pings {
			if n < 500 || pongs[from] != n {
				t.Errorf("%s sent %d pings and got %d pongs", from, n, pongs[from])
			}
		}
		if len(pings) != 2 {
			t.Errorf("pings came from %v, want both", pings)
		}
	})
}

// Without Answered the same goes out, and nothing follows from silence.
func TestKeepAliveWithoutAnswers(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, closed := s.client(Config{})
		alice.answers(nil)
		dead := &deaths{s: s}
		e.KeepAlive(flow, &KeepAlive{Dead: dead.dead})
		e.KeepAlive(flow, nil)
		s.wait(6 * time.Hour)
		dead.want(nil)
		closed.want(nil)
		if n := len(alice.times()); n < 2*6*30 {
			t.Errorf("%d pings in six hours, want two of 120 s or less each", n)
		}
	})
}

// With a negative Interval nothing is sent, and the end is told.
func TestKeepAliveThatOnlyWatches(t *testing.T) {
	play(t, nil, func(s *scene) {
		e, flow, alice, closed := s.client(Config{Idle: time.Hour})
		dead := &deaths{s: s}
		e.KeepAlive(flow, &KeepAlive{Interval: -1, Answered: true, Dead: dead.dead})
		alice.send("\r\n") // a pong of nothing
		s.wait(59 * time.Minute)
		if n := len(alice.times()); n != 0 {
			t.Errorf("%d pings, want none", n)
		}
		dead.want(nil)
		alice.Close()
		dead.want(io.EOF)
		closed.want(io.EOF)
	})
}

// The same over TLS and WebSocket, from an Endpoint to an Endpoint.
func TestKeepAliveOnEveryConnection(t *testing.T) {
	for _, kind := range []string{"TCP", "TLS", "WS", "WSS"} {
		t.Run(kind, func(t *testing.T) {
			play(t, &siptest.NetworkConfig{Delay: 10 * time.Millisecond}, func(s *scene) {
				alice, bob := s.secure()
				dead, closed := &deaths{s: s}, &deaths{s: s}
				s.listen(&Config{Listen: []string{strings.ToLower(kind) + ":" + aliceAddr}, Network: s.alice, TLS: alice, Idle: 125 * time.Second})
				e := s.listen(&Config{TLS: bob, Idle: 125 * time.Second, Closed: closed.closed})
				flow, _, err := e.SendRequest(background, outgoing(t), aliceAt(kind, aliceAddr), "z9hG4bK1")
				if err != nil {
					t.Fatal(err)
				}
				s.wait(time.Second)
				stop := e.KeepAlive(flow, &KeepAlive{Answered: true, Dead: dead.dead})
				s.wait(time.Hour)
				dead.want(nil)
				closed.want(nil)
				at := time.Since(s.began)
				s.n.Cut(s.alice, s.bob)
				s.wait(130*time.Second + time.Millisecond)
				dead.want(ErrNoPong)
				closed.want(ErrNoPong)
				if took := dead.at[0] - at; took < 10*time.Second {
					t.Errorf("dead %v after the cut", took)
				}
				stop()
				s.n.Mend(s.alice, s.bob)
			})
		})
	}
}

// secure returns the TLS of a server that is sip:alice.example.com, and of a
// client that trusts it.
func (s *scene) secure() (server, client *tls.Config) {
	ca := siptest.NewAuthority()
	return &tls.Config{Certificates: []tls.Certificate{ca.Certificate("alice.example.com")}}, &tls.Config{RootCAs: ca.Pool()}
}

// aliceAt is a target that a certificate of alice.example.com is good for.
func aliceAt(kind, addr string) resolve.Target {
	to := target(kind, addr)
	to.Host = "alice.example.com"
	return to
}
