package msrp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
)

// first waits for the first message of a session.
func (s *scene) first(x *msrp.Session) *msrp.Incoming {
	s.Helper()
	for m, err := range x.Messages(s.Context()) {
		if err != nil {
			s.Fatal(err)
		}
		return m
	}
	s.Fatal("the session is closed")
	return nil
}

// Who reads slowly holds up the sender, and loses nothing.
func TestSlowReader(t *testing.T) {
	play(t, func(s *scene) {
		x, y := s.pair(nil, nil)
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16) // 1 MB
		done := s.sends(x, &msrp.Message{Body: bytes.NewReader(data)})
		m := s.first(y)
		var read []byte
		for b := make([]byte, 100<<10); ; {
			n, err := m.Read(b)
			read = append(read, b[:n]...)
			if err == io.EOF {
				break
			}
			if err != nil {
				s.Fatal(err)
			}
			if len(read) < len(data)/2 {
				s.busy(done)
			}
			time.Sleep(18 * time.Second) // and one of busy
		}
		s.sent(done, nil)
		if !bytes.Equal(read, data) {
			s.Errorf("read %d bytes, want the %d that were sent", len(read), len(data))
		}
	})
}

// Who does not read for 20 seconds loses the message: its sender is told to stop. Other sessions on
// the connection have waited, and go on, and so does this one when somebody reads.
func TestReaderThatStops(t *testing.T) {
	play(t, func(s *scene) {
		x, y := s.pair(nil, nil)
		x2, y2 := s.pair(nil, nil)
		box2 := s.inbox(y2)
		start := time.Now()
		done := s.sends(x, &msrp.Message{Body: bytes.NewReader(make([]byte, 10<<20))})
		m := s.first(y)
		time.Sleep(time.Second)
		other := s.sends(x2, text("hello"))
		s.sent(done, frame.StatusStop)
		if d := time.Since(start); d < 20*time.Second || d > 21*time.Second {
			s.Errorf("refused after %v", d)
		}
		s.sent(other, nil)
		s.expect(box2, "hello", nil)
		if _, err := io.ReadAll(m); !errors.Is(err, frame.StatusStop) {
			s.Errorf("Read() = %v", err)
		}
		box := s.inbox(y)
		s.sent(s.sends(x, text("again")), nil)
		s.expect(box, "again", nil)
	})
}

// When nobody reads at all, small messages wait for somebody, 256 of them, and large ones are refused. The
// connection is held up for 20 seconds once, not for each of them.
func TestNobodyReads(t *testing.T) {
	play(t, func(s *scene) {
		x, y := s.pair(nil, nil)
		for i := range 256 {
			s.sent(s.sends(x, text(fmt.Sprint(i))), nil)
		}
		start := time.Now()
		for range 10 {
			s.sent(s.sends(x, text("too many")), frame.StatusStop)
		}
		if d := time.Since(start); d < 20*time.Second || d > 22*time.Second {
			s.Errorf("refused after %v, want 20 s", d)
		}
		box := s.inbox(y)
		for i := range 256 {
			g := <-box
			if g.err != nil {
				s.Errorf("message %d: %v", i, g.err)
			}
		}
		s.sent(s.sends(x, text("now")), nil)
		s.expect(box, "now", nil)
	})
}

// A peer who has the program wait for the rest of a message, and lets it read a byte of it now and then, holds others up
// for half as long each time.
func TestReaderIsKeptWaiting(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		go func() { // ends with the session
			for m, err := range x.Messages(context.WithoutCancel(s.Context())) {
				if err == nil {
					io.Copy(io.Discard, m)
				}
			}
		}()
		for _, round := range []string{"a", "b"} {
			long := func(at int) {
				p.chunk("long "+round, fmt.Sprintf("%d-*/*", at), "x", "+")
				p.response(200)
			}
			long(1)
			for i := range 256 {
				p.chunk(fmt.Sprint(round, i), "1-1/1", "x", "$")
				p.response(200)
			}
			held := time.Duration(0)
			for i := range 20 {
				long(2 + i)
				begun := time.Now()
				p.chunk(fmt.Sprint("late ", round, i), "1-1/1", "x", "$")
				p.response(413)
				held += time.Since(begun)
			}
			if held < 39*time.Second || held > 41*time.Second {
				s.Errorf("the connection was held up for %v in all, want 40 s", held)
			}
			time.Sleep(11 * time.Minute) // in which the long message is given up
		}
	})
}

// A peer whose messages nobody reads takes 4 MB of memory and no more, whatever it sends: many messages,
// large ones, unfinished ones, bytes that come early.
func TestMemoryOfWhatNobodyReads(t *testing.T) {
	for _, c := range []struct {
		name string
		send func(p *peer, i int, body string)
	}{
		{"whole messages", func(p *peer, i int, body string) { p.chunk(fmt.Sprint("m", i), "1-*/*", body, "$") }},
		{"unfinished messages", func(p *peer, i int, body string) { p.chunk(fmt.Sprint("m", i), "1-*/*", body, "+") }},
		{"messages with a gap", func(p *peer, i int, body string) { p.chunk(fmt.Sprint("m", i), "2-*/*", body, "+") }},
		{"messages with both", func(p *peer, i int, body string) {
			at := "1-*/*"
			if i%2 == 0 {
				at = "500000-*/*"
			}
			p.chunk(fmt.Sprint("m", i/2), at, body, "+")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				_, p := s.bound(nil)
				go io.Copy(io.Discard, p.conn) // ends with the connection
				body := strings.Repeat("x", 200<<10)
				before := heap()
				for i := range 250 { // 50 MB
					c.send(p, i, body)
				}
				time.Sleep(time.Minute)
				if used := heap() - before; used > 8<<20 {
					s.Errorf("%d KB of memory", used>>10)
				}
			})
		})
	}
}

// heap returns how many bytes are in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// A message can be refused with a status, before it is read or in the middle. Chunks of it that come still get
// the same.
func TestReject(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		p.chunk("m", "1-*/*", "an advert", "+")
		p.response(200)
		m := s.first(x)
		m.Reject(frame.StatusForbidden)
		m.Reject(frame.StatusStop) // the first one counts
		if _, err := m.Read(make([]byte, 1)); !errors.Is(err, frame.StatusForbidden) {
			s.Errorf("Read() = %v", err)
		}
		p.chunk("m", "10-*/*", "another", "+")
		p.response(403)
		p.chunk("m", "17-*/*", "the end", "$", "Success-Report: yes")
		p.response(403)
		p.silent(time.Minute)

		// In the middle of a chunk.
		p.write(fmt.Sprintf("MSRP onechunk SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: n\nByte-Range: 1-*/*\nContent-Type: text/plain\n\nabc", p.to, p.from))
		s.first(x).Reject(frame.StatusStop)
		p.write("def\n-------onechunk$\n")
		p.response(413)

		// When it is all there it cannot be refused any more.
		p.chunk("o", "1-3/3", "abc", "$")
		p.response(200)
		m = s.first(x)
		m.Reject(frame.StatusStop)
		if b, err := io.ReadAll(m); string(b) != "abc" || err != nil {
			s.Errorf("read %q, %v", b, err)
		}
	})
}

// What is told of a message: its type, its size, the way that it came, and its other header fields.
func TestIncoming(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		p.from = "msrp://relay.example.com:2855/hop;tcp " + rawURI
		p.chunk("m", "1-*/20", "hello", "$", "X-Mood: fine", "Content-Type: text/plain; charset=utf-8")
		p.response(200)
		m := s.first(x)
		if m.ID != "m" || m.ContentType != "text/plain; charset=utf-8" || m.Size != 20 || m.From.String() != p.from || len(m.Fields) != 1 || m.Fields[0] != (frame.Field{Name: "X-Mood", Value: "fine"}) {
			s.Errorf("got %+v", m)
		}
		var b bytes.Buffer
		if n, err := io.Copy(&b, m); n != 5 || err != nil || b.String() != "hello" {
			s.Errorf("copied %q, %d, %v", b.String(), n, err)
		}
	})
}

// A loop over messages ends with its context, and another one goes on.
func TestMessagesLoops(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.bound(nil)
		ctx, cancel := context.WithCancelCause(s.Context())
		why := errors.New("enough")
		cancel(why)
		n := 0
		for _, err := range x.Messages(ctx) {
			if n++; !errors.Is(err, why) {
				s.Errorf("Messages() yields %v", err)
			}
		}
		if n != 1 {
			s.Errorf("%d turns", n)
		}
		for i := range 3 {
			p.chunk(fmt.Sprint("m", i), "1-*/*", "hello", "$")
			p.response(200)
			if m := s.first(x); m.ID != fmt.Sprint("m", i) {
				s.Errorf("message %s, want m%d", m.ID, i)
			}
		}
		x.Close()
		for m, err := range x.Messages(s.Context()) {
			s.Errorf("Messages() of a closed session yields %v, %v", m, err)
		}
	})
}

// A container that is listed is read as it comes, part by part (RFC 4975 section 8.6).
func TestContainers(t *testing.T) {
	for _, kind := range []string{"multipart/mixed", "multipart/alternative"} {
		t.Run(kind, func(t *testing.T) {
			play(t, func(s *scene) {
				x, y := s.pair(nil, &msrp.SessionConfig{AcceptTypes: []string{kind}, AcceptWrappedTypes: []string{"text/plain", "text/html"}})
				var body bytes.Buffer
				w := multipart.NewWriter(&body)
				parts := map[string]string{"text/plain": "Hello", "text/html": "<b>" + strings.Repeat("Hello ", 10_000) + "</b>"}
				for _, t := range []string{"text/plain", "text/html"} {
					p, err := w.CreatePart(textproto.MIMEHeader{"Content-Type": {t}})
					if err != nil {
						s.Fatal(err)
					}
					io.WriteString(p, parts[t])
				}
				w.Close()
				done := s.sends(x, &msrp.Message{ContentType: kind + ";boundary=" + w.Boundary(), Body: &body})
				m := s.first(y)
				got, params, err := mime.ParseMediaType(m.ContentType)
				if err != nil || got != kind {
					s.Fatalf("the type is %s, %v", m.ContentType, err)
				}
				r := multipart.NewReader(m, params["boundary"])
				for _, want := range []string{"text/plain", "text/html"} {
					p, err := r.NextPart()
					if err != nil {
						s.Fatal(err)
					}
					text, err := io.ReadAll(p)
					if got := p.Header.Get("Content-Type"); got != want || string(text) != parts[want] || err != nil {
						s.Errorf("a part %s %q, %v; want %s", got, short(string(text)), err, want)
					}
				}
				if _, err := r.NextPart(); err != io.EOF {
					s.Errorf("then %v", err)
				}
				s.sent(done, nil)
			})
		})
	}
}

// A message that waited for its turn while the session moved to another connection does not begin on the old one, where
// nothing more of it counts (RFC 4975 section 5.4).
func TestMessageThatWaitsWhileTheSessionMoves(t *testing.T) {
	play(t, func(s *scene) {
		x, offer := s.offered(nil)
		s.answers(x, offer, rawURI)
		p := s.calls(x)
		p.request("SEND", "Message-ID: hello")
		p.response(200)
		const most = 256
		for i := range most {
			p.chunk(fmt.Sprint("m", i), "1-1/1", "x", "$")
			p.response(200)
		}
		late := make(chan struct{})
		go func() {
			defer close(late)
			p.chunk("late", "1-5/5", "hello", "$")
		}()
		time.Sleep(time.Second)

		again := section("msrp://192.0.2.9:2855/other;tcp", "setup:active")
		answer, err := x.Answer(s.Context(), again)
		if err != nil {
			s.Fatal(err)
		}
		if err := x.Update(s.Context(), answer, again); err != nil {
			s.Fatal(err)
		}
		q := s.calls(x)
		q.from = "msrp://192.0.2.9:2855/other;tcp"
		q.to, _ = answer.Attribute("path")
		q.request("SEND", "Message-ID: hello again")
		q.response(200)

		box := s.inbox(x)
		for range most {
			s.expect(box, "x", nil)
		}
		<-late
		p.response(481)
		q.chunk("next", "1-5/5", "hello", "$")
		q.response(200)
		if g := s.expect(box, "hello", nil); g.id != "next" {
			s.Errorf("message %q, want the one of the new connection", g.id)
		}
	})
}
