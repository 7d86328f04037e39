package msrp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sip/siptest"
)

// inMemory returns two sessions on hosts of a network in memory that know each other; the second
// has not connected yet.
func inMemory(t *testing.T, a, b *msrp.SessionConfig) (alice, bob *msrp.Session, far *siptest.Host, connect func()) {
	t.Helper()
	n := siptest.NewNetwork(nil)
	session := func(ip string, cfg *msrp.SessionConfig) (*msrp.Session, *siptest.Host) {
		host := n.Host(ip)
		e, err := msrp.New(&msrp.Config{Network: host, Listen: []string{"tcp:" + ip + ":2855"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		return msrp.NewSession(e, cfg), host
	}
	alice, _ = session("192.0.2.1", a)
	bob, far = session("192.0.2.2", b)
	ours, err := alice.Path(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := bob.Path(t.Context())
	if err == nil {
		err = alice.Connect(t.Context(), theirs, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	return alice, bob, far, func() {
		if err := bob.Connect(t.Context(), ours, true); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
	}
}

func newPost(t *testing.T, body string) *msrp.Post {
	t.Helper()
	p, err := msrp.NewPost("text/plain", []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Posts arrive whole and in order, cut where a chunk has a limit, and are answered by nobody.
func TestPosts(t *testing.T) {
	for _, limit := range []int64{0, 2048, 5000} {
		synctest.Test(t, func(t *testing.T) {
			alice, bob, _, connect := inMemory(t, &msrp.SessionConfig{MaxChunk: limit}, nil)
			if err := alice.Post(newPost(t, "early")); err != msrp.ErrNotConnected {
				t.Errorf("without a connection: %v", err)
			}
			connect()
			want := []string{"one", "", strings.Repeat("\r\n-------abcdefghijklm$\r\n", 2000), "three"}
			for _, text := range want {
				if err := alice.Post(newPost(t, text)); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for m, err := range bob.Messages(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				text, err := io.ReadAll(m)
				if err != nil || m.Size != int64(len(text)) {
					t.Errorf("got %d bytes of %d, %v", len(text), m.Size, err)
				}
				if got = append(got, string(text)); len(got) == len(want) {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("limit %d: got %.40q, want %.40q", limit, got, want)
			}
			time.Sleep(time.Hour) // no response is missed
			if err := alice.Post(newPost(t, "still there")); err != nil {
				t.Error(err)
			}
			alice.Close()
			if err := alice.Post(newPost(t, "over")); err != msrp.ErrClosed {
				t.Errorf("when it is closed: %v", err)
			}
		})
	}
}

// A Post goes between the chunks of a message that is on its way.
func TestPostInterruptsMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob, far, connect := inMemory(t, nil, nil)
		connect()
		far.Down() // so that something waits
		big := bytes.Repeat([]byte("x"), 600_000)
		go alice.Send(context.WithoutCancel(t.Context()), &msrp.Message{Body: bytes.NewReader(big)})
		synctest.Wait()
		if err := alice.Post(newPost(t, "short")); err != nil {
			t.Fatal(err)
		}
		far.Up()
		var first *msrp.Incoming
		for m, err := range bob.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = m
				go io.Copy(io.Discard, m)
				continue
			}
			if text, err := io.ReadAll(m); string(text) != "short" || err != nil {
				t.Errorf("got %q, %v", text, err)
			}
			break
		}
	})
}

// What the peer does not take is not sent, as it has said of types and sizes (RFC 4975 section 8.6, RFC 7701 section 6.1).
func TestPostThatThePeerDoesNotTake(t *testing.T) {
	play(t, func(s *scene) {
		x, offer := s.offered(nil)
		s.answers(x, offer, rawURI, "max-size:300")
		p := s.calls(x)
		p.request("SEND", "Message-ID: hello")
		p.response(200)
		if err := x.Post(newPost(t, strings.Repeat("x", 301))); !errors.Is(err, frame.StatusStop) {
			s.Errorf("a Post that is too large: %v", err)
		}
		image, err := msrp.NewPost("image/png", []byte("x"))
		if err != nil {
			s.Fatal(err)
		}
		if err := x.Post(image); !errors.Is(err, frame.StatusUnsupportedType) {
			s.Errorf("a Post of another type: %v", err)
		}
		p.silent(time.Minute)
		if err := x.Post(newPost(t, strings.Repeat("x", 300))); err != nil {
			s.Error(err)
		}
		if f := p.next(); len(f.body) != 300 {
			s.Errorf("then came %d bytes", len(f.body))
		}
	})
}

// What waits for a peer that takes nothing is bounded, nobody waits, and when there is room again
// that is told.
func TestPostsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := 0
		alice, bob, far, connect := inMemory(t, &msrp.SessionConfig{OnRoom: func() { told++ }}, nil)
		connect()
		far.Down()
		body := strings.Repeat("x", 10_000)
		posted := 0
		for ; posted < 1000; posted++ {
			err := alice.Post(newPost(t, body))
			if err == msrp.ErrFull {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if posted < 6 || posted > 100 || told != 0 {
			t.Errorf("%d messages were taken, and room told %d times", posted, told)
		}
		far.Up()
		n := 0
		for m, err := range bob.Messages(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, m)
			if n++; n == posted {
				break
			}
		}
		synctest.Wait()
		if told != 1 {
			t.Errorf("room is told %d times, want once", told)
		}
		if err := alice.Post(newPost(t, body)); err != nil {
			t.Error(err)
		}
	})
}

// Who was told that a Post has to wait hears when there is room, too, where that is on another connection: the peer's
// network has changed, or its connection was lost (RFC 4975 section 5.4).
func TestRoomOnAnotherConnection(t *testing.T) {
	const other = "msrp://192.0.2.9:2866/other;tcp"
	for _, c := range []struct {
		name       string
		full, lost bool  // before the session moves
		gap        error // of a Post before the other connection is there; nil: there is none
		active     bool  // it is the session that connects
		told       int
	}{
		{name: "moved", full: true, told: 1},
		{name: "moved, and connects", full: true, active: true, told: 1},
		{name: "lost", full: true, lost: true, told: 1},
		{name: "lost, and connects", full: true, lost: true, active: true, told: 1},
		{name: "lost, and something was refused meanwhile", lost: true, gap: msrp.ErrLost, told: 1},
		{name: "nothing was refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				var x *msrp.Session
				told := 0
				x, p := s.bound(&msrp.SessionConfig{OnRoom: func() {
					told++
					x.Connected(t.Context()) // which takes the lock of the session
				}})
				body := strings.Repeat("x", 40_000)
				var err error
				for i := 0; c.full && err == nil && i < 1000; i++ {
					err = x.Post(newPost(t, body)) // of which the peer takes nothing
					synctest.Wait()
				}
				if c.full && err != msrp.ErrFull {
					t.Fatalf("Post() = %v, want %v", err, msrp.ErrFull)
				}
				meanwhile := func() {
					if c.gap == nil {
						return
					}
					if err := x.Post(newPost(t, "meanwhile")); !errors.Is(err, c.gap) {
						t.Errorf("Post() = %v, want %v", err, c.gap)
					}
				}
				if c.lost {
					p.conn.Close()
					time.Sleep(time.Second)
					meanwhile()
				}
				if c.active {
					l, err := s.n.Host(raw).Listen(t.Context(), "tcp", ":2866")
					if err != nil {
						t.Fatal(err)
					}
					defer l.Close()
					s.agree(x, section(other, "setup:passive"))
					conn, err := l.Accept()
					if err != nil {
						t.Fatal(err)
					}
					p = s.newPeer(conn, x)
					p.answer(p.next(), 200)
				} else {
					s.agree(x, section(other, "setup:active"))
					p = s.callsAs(other, x, nil)
					p.request("SEND", "Message-ID: hello")
					p.response(200)
				}
				synctest.Wait()
				if told != c.told {
					t.Errorf("room is told %d times, want %d", told, c.told)
				}
				if err := x.Post(newPost(t, "hello")); err != nil {
					t.Fatal(err)
				}
				if f := p.next(); f.body != "hello" || f.To != other {
					t.Errorf("the peer got %q for %s", short(f.body), f.To)
				}
			})
		})
	}
}

// A head that cannot be written is an error where it is made.
func TestNewPostRefuses(t *testing.T) {
	_, err := msrp.NewPost("text/plain\r\nX: y", nil)
	if se := (*frame.SyntaxError)(nil); !errors.As(err, &se) {
		t.Errorf("got %v", err)
	}
}

// OnMessage has each message when all of it is there, and what it says is what the sender is told,
// in the response to the last chunk, and again if that comes again.
func TestOnMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		alice, bob, _, connect := inMemory(t, nil, &msrp.SessionConfig{OnMessage: func(m *msrp.Incoming, body []byte) frame.Status {
			got = append(got, fmt.Sprintf("%s %s %d", m.ID, m.ContentType, len(body)))
			if strings.HasPrefix(string(body), "bad") {
				return frame.StatusForbidden
			}
			return frame.StatusOK
		}})
		connect()
		send := func(id, text string) (reports int, err error) {
			err = alice.Send(t.Context(), &msrp.Message{ID: id, ContentType: "text/plain", Body: strings.NewReader(text), SuccessReport: true,
				OnReport: func(r msrp.Report) { reports++ }})
			synctest.Wait()
			return reports, err
		}
		for _, c := range []struct {
			id, text string
			want     error
			reports  int
		}{
			{"m1", "good", nil, 1},
			{"m2", strings.Repeat("long", 50_000), nil, 1},
			{"m3", "bad", frame.StatusForbidden, 0},
			{"m3", "bad", frame.StatusForbidden, 0},
			{"m4", strings.Repeat("x", 300_000), frame.StatusStop, 0}, // more than 256 KB
		} {
			if reports, err := send(c.id, c.text); !errors.Is(err, c.want) || reports != c.reports {
				t.Errorf("%s: %v and %d reports, want %v and %d", c.id, err, reports, c.want, c.reports)
			}
		}
		if want := []string{"m1 text/plain 4", "m2 text/plain 200000", "m3 text/plain 3"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		bob.Close()
	})
}

// A session that is connected to another peer of the same host posts to that one, by the connection that it shares.
func TestPostToAnother(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		connect := func(x *msrp.Session, uri string) {
			path, err := frame.ParsePath(uri)
			if err == nil {
				err = x.Connect(s.Context(), path, true)
			}
			if err != nil {
				s.Fatal(err)
			}
			p.answer(p.next(), 200)
		}
		connect(s.session(alice, nil), "msrp://192.0.2.9:2855/other;tcp") // so that the connection stays
		if err := x.Post(newPost(t, "one")); err != nil {
			s.Fatal(err)
		}
		if f := p.next(); f.To != rawURI || f.body != "one" {
			s.Errorf("%q came for %s", f.body, f.To)
		}
		const third = "msrp://192.0.2.9:2855/third;tcp"
		connect(x, third)
		if err := x.Post(newPost(t, "two")); err != nil {
			s.Fatal(err)
		}
		if f := p.next(); f.To != third || f.body != "two" {
			s.Errorf("%q came for %s, want %s", f.body, f.To, third)
		}
	})
}
