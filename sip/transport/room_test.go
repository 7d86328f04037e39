package transport

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// holds checks how many bytes of Config.MaxBytes are taken.
func (s *scene) holds(e *inbox, least, most int64) {
	s.Helper()
	synctest.Wait()
	if got := e.room.taken.Load(); got < least || got > most {
		s.Errorf("%d bytes are taken, want %d to %d", got, least, most)
	}
}

// weighty is a message of about size bytes.
func weighty(size int) string {
	body := strings.Repeat("x", size)
	return message(options, tcpVia, fmt.Sprint("Content-Length: ", size), "\n"+body)
}

// Messages that are not whole share Config.MaxBytes. One that finds no room costs
// its connection, with the reason; usual ones do without, and when the time of
// those that take it is up, there is room again.
func TestMaxBytesOfUnfinishedMessages(t *testing.T) {
	for _, kind := range everyKind {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				authority := siptest.NewAuthority()
				ended := &deaths{s: s}
				var e *inbox
				e = s.listenOn(kind, authority, Config{MaxBytes: 1 << 20, MaxConns: 20, Closed: ended.closed, Handle: func(in *Inbound) { ok(&e)(in) }})
				text := weighty(300_000)
				var slow []*peerStream
				for range 8 {
					phone, frame := s.peerOn(kind, authority)
					phone.send(frame(message(options, tcpVia)))
					phone.receive()
					slow = append(slow, phone)
					half := frame(text)
					go io.WriteString(phone, half[:len(half)-1]) // ends when it is read, or with the connection
					synctest.Wait()
				}
				s.holds(e, 300_000, 1<<20)
				s.wait(2 * time.Second) // for farewells
				got := ended.all()
				if len(got) < 4 || len(got) > 7 || int(e.Stats().CrowdedOut) != len(got) {
					t.Errorf("%d connections were closed, %d of them for want of room, want all but one to four", len(got), e.Stats().CrowdedOut)
				}
				for _, err := range got {
					if !errors.Is(err, errCrowded) || !strings.Contains(err.Error(), "Config.MaxBytes") {
						t.Errorf("closed for %v, want it to say that there is no room", err)
					}
				}
				alice, frame := s.peerOn(kind, authority)
				alice.send(frame(message(options, tcpVia)))
				s.contains(alice.receive(), "200 OK")

				s.wait(messageTimeout)
				s.holds(e, 0, 0)
				if n := len(ended.all()); n != len(slow) {
					t.Errorf("%d connections were closed, want those of all slow peers", n)
				}
				e.take()
				go io.WriteString(alice, frame(text)) // ends when it is read
				s.one(e)
			})
		})
	}
}

// What peers do not read shares Config.MaxBytes too. Past it a send is refused,
// for whomever it is, but what is usual; and each peer has ten seconds.
func TestMaxBytesOfUnsentMessages(t *testing.T) {
	for _, kind := range []string{viaTCP, viaWS} {
		t.Run(kind, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				ended := &deaths{s: s}
				e := s.listenOn(kind, siptest.NewAuthority(), Config{MaxBytes: 1 << 20, Closed: ended.closed})
				var flows []Flow
				for range 10 {
					phone, frame := s.peerOn(kind, nil)
					phone.send(frame(message(options, tcpVia)))
					flows = append(flows, s.one(e).Flow)
				}
				big := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
				var err error
				for range 2 { // what is queued first, the network takes
					for _, flow := range flows[1:] {
						for range 10 {
							err = e.Send(flow, big)
							synctest.Wait()
						}
					}
				}
				if !errors.Is(err, ErrBacklog) || !strings.Contains(err.Error(), "Config.MaxBytes") {
					t.Errorf("Send = %v, want ErrBacklog and which", err)
				}
				s.holds(e, 1<<20-200_000, 1<<20)
				shown := len(e.sent)
				if err := e.Send(flows[0], big); !errors.Is(err, ErrBacklog) || len(e.sent) != shown {
					t.Errorf("a large message to another peer: %v, and %d in the trace; want ErrBacklog and none", err, len(e.sent)-shown)
				}
				if err := e.Send(flows[0], outgoing(t)); err != nil {
					t.Errorf("a usual message to another peer: %v", err)
				}
				s.wait(writeTimeout)
				s.holds(e, 0, 0)
				if n := len(ended.all()); n < 1 || n > 9 {
					t.Errorf("%d connections were closed, want those of the deaf that had something to read", n)
				}
				if err := e.Send(flows[0], big); err != nil {
					t.Errorf("Send = %v when there is room again", err)
				}
			})
		})
	}
}

// Less than 0 is no limit.
func TestNoMaxBytes(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{MaxBytes: -1})
		half := weighty(900_000)
		half = half[:len(half)-1]
		for range 300 {
			phone := s.dial(s.alice, bobAddr)
			go io.WriteString(phone, half) // ends when it is read
			synctest.Wait()
		}
		s.holds(e, 256<<20, 1<<40)
		s.stats(e, Stats{})
	})
}

// Whatever becomes of connections, what they held is given back to the byte, and
// what is held stays below the limit.
func TestMaxBytesGivenBack(t *testing.T) {
	for _, kind := range everyKind {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s %d", kind, seed), func(t *testing.T) {
				play(t, nil, func(s *scene) { s.crowd(kind, rand.New(rand.NewPCG(seed, 0)), seed%2 == 0) })
			})
		}
	}
}

// crowd has thirty peers come one after the other, each of which sends what it
// likes, reads or not, and goes when it likes. In the end they are waited for, or
// the endpoint is closed.
func (s *scene) crowd(kind string, r *rand.Rand, wait bool) {
	const limit = 1 << 20
	authority := siptest.NewAuthority()
	var sending sync.WaitGroup
	var e *inbox
	e = s.listenOn(kind, authority, Config{MaxBytes: limit, MaxRate: -1, Handle: func(in *Inbound) {
		if r, isRequest := in.Message.(*sip.Request); isRequest {
			e.Respond(in, r.Reply(sip.StatusOK, sip.Body{Type: "text/plain", Content: r.Body()}))
			if r.Body() == "boom" {
				panic("a bug")
			}
		}
	}})
	var peers []*peerStream
	var most int64
	for range 30 {
		phone, frame := s.peerOn(kind, authority)
		peers = append(peers, phone)
		text := frame(message(options, tcpVia))
		for range r.IntN(6) {
			switch r.IntN(6) {
			case 0:
				text += frame(weighty(r.IntN(60_000)))
			case 1:
				text += frame(strings.Repeat("\r\n", 1+r.IntN(2)))
			case 2:
				text += frame(message(options, tcpVia, "Call-ID:"))
			case 3:
				text += frame(message(options, tcpVia, "Content-Length: 4", "\nboom"))
			default:
				part := frame(weighty(r.IntN(400_000)))
				text += part[:r.IntN(len(part))]
			}
		}
		sending.Go(func() { io.WriteString(phone, text) }) // ends when it is read, or with the connection
		// A writer of TLS that waits for a deaf peer keeps a mutex, and no fake
		// time passes while another waits for that.
		if deaf := !isSecure(kind) && r.IntN(3) == 0; !deaf {
			sending.Go(func() { io.Copy(io.Discard, phone) }) // ends with the connection
		}
		synctest.Wait()
		taken := e.room.taken.Load()
		if most = max(most, taken); taken > limit || taken < 0 {
			s.Fatalf("%d bytes are taken, want %d at most", taken, limit)
		}
		switch r.IntN(8) {
		case 0, 1:
			peers[r.IntN(len(peers))].Close()
		case 2:
			s.wait(time.Duration(r.IntN(12)) * time.Second)
		case 3:
			s.alice.Reset()
		}
	}
	if most == 0 || e.Stats().Received < 30 {
		s.Errorf("%d bytes were taken, %+v: nothing has happened", most, e.Stats())
	}
	if wait {
		s.wait(time.Hour)
	} else {
		e.Close()
	}
	s.holds(e, 0, 0)
	for _, phone := range peers {
		phone.Close()
	}
	sending.Wait()
	s.tables(e, 0, 0)
}

// What one connection has to itself is not the others' to take, and counts for
// both directions together.
func TestRoomOfOneConnection(t *testing.T) {
	e := &Endpoint{room: room{limit: 1000}}
	a, b := &conn{e: e}, &conn{e: e}
	for _, step := range []struct {
		c     *conn
		n     int
		ok    bool
		taken int64
	}{
		{a, ownBytes, true, 0},
		{a, 600, true, 600},
		{b, ownBytes + 500, false, 600},
		{b, ownBytes + 400, true, 1000},
		{a, 1, false, 1000},
		{b, 1, false, 1000},
		{a, -300, true, 700},
		{b, 300, true, 1000},
		{a, -ownBytes, true, 700},
		{a, ownBytes - 300, true, 700},
		{b, -(ownBytes + 700), true, 0},
		{a, 1000, true, 1000},
		{a, -(ownBytes + 1000), true, 0},
	} {
		took := true
		if step.n < 0 {
			step.c.drop(-step.n)
		} else {
			took = step.c.hold(step.n)
		}
		if got := e.room.taken.Load(); took != step.ok || got != step.taken {
			t.Errorf("%+d: %v, %d bytes taken; want %v, %d", step.n, took, got, step.ok, step.taken)
		}
	}
	if a.held != 0 || b.held != 0 {
		t.Errorf("held in the end: %d and %d", a.held, b.held)
	}
}

// Many who take and give at once lose nothing, and never have too much.
func TestRoomTogether(t *testing.T) {
	r := &room{limit: 1000}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { // ends by itself
			for i := range 10_000 {
				if n := i % 400; r.take(n) {
					if r.taken.Load() > 1000 {
						t.Error("more is taken than there is")
					}
					r.give(n)
				}
			}
		})
	}
	all.Wait()
	if got := r.taken.Load(); got != 0 {
		t.Errorf("%d bytes are taken in the end", got)
	}
}

// Where there is no room to gather what goes out together, it goes out all the
// same, text by text and in order.
func TestTransmitWithoutRoom(t *testing.T) {
	for _, limit := range []int64{0, -1} {
		near, far := net.Pipe()
		c := &conn{e: &Endpoint{room: room{limit: limit}}}
		go func() { // ends when all is read
			(&stream{nc: near}).transmit(c, []string{"one ", "two ", "three"})
			near.Close()
		}()
		got, err := io.ReadAll(far)
		if err != nil && !errors.Is(err, os.ErrClosed) || string(got) != "one two three" {
			t.Errorf("%q, %v, want all of it", got, err)
		}
		if taken := c.e.room.taken.Load(); taken != 0 {
			t.Errorf("%d bytes are taken", taken)
		}
	}
}
