package msrp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// What a sender of ours says of a message, by how much is known of its size (RFC 4975 section 7.1.1).
func TestSendSize(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() io.Reader {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	skipped := open()
	if _, err := skipped.(*os.File).Seek(3, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	one := func(text string) io.Reader { return io.MultiReader(strings.NewReader(text)) } // says nothing of its size
	for _, c := range []struct {
		name  string
		m     msrp.Message
		total int64
		body  string
	}{
		{"of a string", msrp.Message{Body: strings.NewReader("hello")}, 5, "hello"},
		{"of a buffer", msrp.Message{Body: bytes.NewBufferString("hello")}, 5, "hello"},
		{"of a file", msrp.Message{Body: open()}, 5, "hello"},
		{"of the rest of a file", msrp.Message{Body: skipped}, 2, "lo"},
		{"said", msrp.Message{Body: one("hello"), Size: 5}, 5, "hello"},
		{"not known", msrp.Message{Body: one("hello")}, -1, "hello"},
		{"empty", msrp.Message{Body: strings.NewReader("")}, 0, ""},
		{"no body", msrp.Message{}, -1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				done := s.sends(x, &c.m)
				var body string
				for at := int64(1); ; {
					f := p.next()
					if f.Method != frame.SEND || f.Range.Start != at || f.Range.Total != c.total || f.ContentType != "text/plain;charset=UTF-8" {
						s.Errorf("%v of %s with Byte-Range %v, want from %d of %d", f.Head, f.ContentType, f.Range, at, c.total)
					}
					p.answer(f, 200)
					body, at = body+f.body, at+int64(len(f.body))
					if f.flag == frame.Complete {
						break
					}
				}
				s.sent(done, nil)
				if body != c.body {
					s.Errorf("body %q, want %q", body, c.body)
				}
			})
		})
	}
}

// A message that cannot be sent whole is aborted on the wire, and Send says why.
func TestSendThatFails(t *testing.T) {
	broken := errors.New("disk on fire")
	late := errors.New("too late")
	for _, c := range []struct {
		name string
		m    func() *msrp.Message
		ctx  bool // ends after a minute
		want error
		text string // in the error, where there is none to ask for
	}{
		{name: "a body that fails", m: func() *msrp.Message {
			return &msrp.Message{Body: io.MultiReader(strings.NewReader("half"), &later{r: failing{broken}})}
		}, want: broken},
		{name: "less than was said", m: func() *msrp.Message {
			return &msrp.Message{Body: io.MultiReader(strings.NewReader("half"), &later{r: strings.NewReader("")}), Size: 8}
		}, text: "size"},
		{name: "more than was said", m: func() *msrp.Message {
			return &msrp.Message{Body: io.MultiReader(strings.NewReader("half"), &later{r: strings.NewReader("and half")}), Size: 8}
		}, text: "size"},
		{name: "a context that ends", m: func() *msrp.Message {
			r, w := io.Pipe()
			go func() {
				io.WriteString(w, "half")
				time.Sleep(2 * time.Minute)
				w.Close()
			}()
			return &msrp.Message{Body: r}
		}, ctx: true, want: late},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.called(nil)
				ctx := s.Context()
				if c.ctx {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeoutCause(ctx, time.Minute, late)
					defer cancel()
				}
				done := make(chan error, 1)
				go func() { done <- x.Send(ctx, c.m()) }()
				var last read
				for last.flag != frame.Aborted {
					if last = p.next(); last.flag == frame.Complete {
						s.Fatalf("the message ends: %q", last.body)
					}
					p.answer(last, 200)
				}
				err := <-done
				if c.want != nil && !errors.Is(err, c.want) || c.text != "" && (err == nil || !strings.Contains(err.Error(), c.text)) {
					s.Errorf("Send() = %v, want %v%s", err, c.want, c.text)
				}
				// The session goes on.
				done = make(chan error, 1)
				go func() { done <- x.SendText(s.Context(), "still here") }()
				f := p.next()
				p.answer(f, 200)
				s.sent(done, nil)
				if f.body != "still here" {
					s.Errorf("then came %q", f.body)
				}
			})
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A later reader has nothing for a second.
type later struct {
	r      io.Reader
	waited bool
}

func (l *later) Read(p []byte) (int, error) {
	if !l.waited {
		l.waited = true
		time.Sleep(time.Second)
	}
	return l.r.Read(p)
}

// A sender that gets 413 stops with #, and sends nothing more of the message (RFC 4975 section 10.5).
func TestStopSending(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(&msrp.SessionConfig{MaxChunk: 1000})
		done := s.sends(x, &msrp.Message{ID: "m", Body: bytes.NewReader(make([]byte, 1<<20))})
		p.answer(p.next(), 413)
		var last read
		for last.flag != frame.Aborted {
			if last = p.next(); last.flag == frame.Complete {
				s.Fatal("the message goes on to its end")
			}
		}
		s.sent(done, frame.StatusStop)
		p.silent(time.Minute)
	})
}

// A type that the peer does not take is not sent: one that it has not listed, and one that it has refused
// with 415, as long as the session lasts (RFC 4975 sections 8.6 and 10.6). What was in a container may have been
// the reason, and so containers are sent again.
func TestTypesOfThePeer(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		of := func(kind string) *msrp.Message {
			return &msrp.Message{ContentType: kind, Body: strings.NewReader("x")}
		}
		for _, c := range []struct {
			kind, again string
			goes        bool
		}{
			{"text/html", "Text/HTML;charset=utf-8", false},
			{"message/cpim", "message/cpim", true},
			{"multipart/mixed;boundary=x", "multipart/mixed;boundary=y", true},
		} {
			done := s.sends(x, of(c.kind))
			p.answer(p.next(), 415)
			s.sent(done, frame.StatusUnsupportedType)
			done = s.sends(x, of(c.again))
			if c.goes {
				p.answer(p.next(), 200)
				s.sent(done, nil)
			} else {
				s.sent(done, frame.StatusUnsupportedType)
				p.silent(time.Minute)
			}
		}
		s.agree(x, section(rawURI, "setup:passive"))
		s.sent(s.sends(x, of("image/png")), frame.StatusUnsupportedType)
		s.sent(s.sends(x, of("text/html")), frame.StatusUnsupportedType)
		p.silent(time.Minute)
	})
}

// A message is not larger than the peer has said, as far as that can be known (RFC 4975 section 8.6).
func TestMaxSizeOfThePeer(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		s.agree(x, section(rawURI, "setup:passive", "max-size:10"))
		s.sent(s.sends(x, text("01234567890")), frame.StatusStop)
		p.silent(time.Minute)
		done := s.sends(x, text("0123456789"))
		p.answer(p.next(), 200)
		s.sent(done, nil)
		s.sent(s.sends(x, &msrp.Message{Body: io.MultiReader(strings.NewReader("01234567890"))}), frame.StatusStop)
		w, err := x.Create(s.Context(), &msrp.Message{})
		if err != nil {
			s.Fatal(err)
		}
		if _, err := io.WriteString(w, "0123456789"); err != nil {
			s.Error(err)
		}
		if _, err := io.WriteString(w, "0"); !errors.Is(err, frame.StatusStop) {
			s.Errorf("Write() beyond the size = %v", err)
		}
		time.Sleep(time.Second) // what is aborted before it goes out leaves no trace
		w.Abort()
		if f := p.next(); f.flag != frame.Aborted {
			s.Errorf("%q ends with %q", f.body, f.flag)
		}
	})
}

// A message is written piece by piece, and ended or given up.
func TestWriter(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		w, err := x.Create(s.Context(), &msrp.Message{ID: "m", Size: 11, Fields: []frame.Field{{Name: "Content-Disposition", Value: "render"}}})
		if err != nil {
			s.Fatal(err)
		}
		if _, err := x.Create(s.Context(), &msrp.Message{ID: "m"}); err == nil {
			s.Error("Create() with an ID that is on its way = nil")
		}
		io.WriteString(w, "hello ")
		time.Sleep(time.Second)
		io.WriteString(w, "there")
		done := make(chan error, 1)
		go func() { done <- w.Close() }()
		f := p.next()
		if d, _ := f.Get("Content-Disposition"); f.body != "hello there" || f.flag != frame.Complete || d != "render" {
			s.Errorf("got %q, disposition %q, flag %q", f.body, d, f.flag)
		}
		p.answer(f, 200)
		s.sent(done, nil)
		if _, err := io.WriteString(w, "!"); err == nil {
			s.Error("Write() after Close() = nil")
		}
		w.Abort() // too late

		w, err = x.Create(s.Context(), &msrp.Message{ID: "m"})
		if err != nil {
			s.Fatal(err)
		}
		w.Abort()
		w, err = x.Create(s.Context(), &msrp.Message{ID: "m"})
		if err != nil {
			s.Fatal(err)
		}
		if err := w.Close(); err == nil {
			s.Error("Close() without an answer = nil")
		}
		f = p.next()
		if f.flag != frame.Complete || f.body != "" || f.Range != (frame.Range{Start: 1, End: 0, Total: -1}) {
			s.Errorf("an empty message is %q, %v", f.body, f.Range)
		}
	})
}

// Small messages do not wait for large ones, and large ones take turns.
func TestSmallMessagesDoNotWait(t *testing.T) {
	play(t, func(s *scene) {
		x, y := s.pair(nil, nil)
		arrived := make(chan string, 100)
		go func() {
			for m, err := range y.Messages(context.Background()) {
				if err != nil {
					return
				}
				go func() {
					n, err := io.Copy(io.Discard, m)
					arrived <- fmt.Sprint(m.ID, " ", n, " ", err)
				}()
			}
		}()
		send := func(id string, size int) <-chan error {
			return s.sends(x, &msrp.Message{ID: id, Body: bytes.NewReader(make([]byte, size))})
		}
		big1, big2 := send("big1", 32<<20), send("big2", 32<<20)
		for i := range 20 {
			start := time.Now()
			id := fmt.Sprint("small", i)
			s.sent(send(id, 10), nil)
			if d := time.Since(start); d > 200*time.Millisecond {
				s.Errorf("%s took %v", id, d)
			}
			if got := <-arrived; got != id+" 10 <nil>" {
				s.Fatalf("arrived %s", got)
			}
		}
		s.busy(big1)
		s.busy(big2)
		s.sent(big1, nil)
		s.sent(big2, nil)
		for range 2 {
			if got := <-arrived; !strings.HasSuffix(got, " 33554432 <nil>") {
				s.Errorf("arrived %s", got)
			}
		}
	})
}

// A peer that holds gets nothing until it resumes (RFC 4975 section 8.9).
func TestHeld(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		for _, way := range []sdp.Direction{sdp.SendOnly, sdp.Inactive} {
			held := section(rawURI, "setup:passive")
			held.Direction = way
			s.agree(x, held)
			s.sent(s.sends(x, text("hello")), msrp.ErrHeld)
			p.silent(time.Second)
			s.agree(x, section(rawURI, "setup:passive"))
			done := s.sends(x, text("hello"))
			p.answer(p.next(), 200)
			s.sent(done, nil)
		}
	})
}

// Who sends before there is a peer waits for it, as long as the context lasts.
func TestSendBeforeThePeer(t *testing.T) {
	play(t, func(s *scene) {
		x := s.session(alice, nil)
		ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
		defer cancel()
		if err := x.SendText(ctx, "anybody?"); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("SendText() = %v", err)
		}
		if err := x.Connected(ctx); !errors.Is(err, context.DeadlineExceeded) {
			s.Errorf("Connected() = %v", err)
		}
		done := s.sends(x, text("hello"))
		p := s.calls(x)
		if err := x.Connect(s.Context(), rawPath(s), false); err != nil {
			s.Fatal(err)
		}
		s.busy(done) // nobody has said who the peer is
		p.request("SEND", "Message-ID: hello")
		for range 2 { // the response, and what has waited
			if f := p.next(); f.Method == frame.SEND {
				p.answer(f, 200)
			}
		}
		s.sent(done, nil)
		done = s.sends(x, text("hello"))
		x.Close()
		s.sent(done, msrp.ErrClosed)
		s.sent(s.sends(x, text("hello")), msrp.ErrClosed)
	})
}

// What cannot be written is an error, and nothing is sent.
func TestSendWhatCannotBe(t *testing.T) {
	play(t, func(s *scene) {
		x, p := s.called(nil)
		for _, m := range []*msrp.Message{
			{ContentType: "text/plain\r\nX: y"},
			{ID: "a\r\nb"},
			{Fields: []frame.Field{{Name: "To-Path", Value: "msrp://x;tcp"}}},
			{Fields: []frame.Field{{Name: "X", Value: "a\r\n\r\nb"}}},
		} {
			m.Body = strings.NewReader("x")
			var syntax *frame.SyntaxError
			if err := x.Send(s.Context(), m); !errors.As(err, &syntax) {
				s.Errorf("Send(%+v) = %v, want a SyntaxError", m, err)
			}
		}
		p.silent(time.Minute)
	})
}

// All chunks of a message say the same of it, each with an identifier of its own and where it belongs (RFC 4975 sections
// 5.1 and 7.1.1). They are as long as the session says, and where a relay is on the way no longer than 8,192 bytes.
func TestChunksOfOurs(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit int64
		relay bool
		most  int
	}{
		{"limited", 1000, false, 1000},
		{"by a relay", 0, true, 8192},
		{"limited by a relay", 20000, true, 20000},
		{"not limited", 0, false, 50000},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				x, p := s.bound(&msrp.SessionConfig{MaxChunk: c.limit})
				if c.relay {
					p.conn.Close()
					x, p = s.behindRelay(c.limit)
				}
				data := strings.Repeat("0123456789", 5000)
				done := s.sends(x, &msrp.Message{ID: "m", ContentType: "text/plain;x=y", Body: strings.NewReader(data),
					FailureReport: frame.FailureReportPartial, SuccessReport: true, Fields: []frame.Field{{Name: "X-Mood", Value: "fine"}}})
				var body string
				ids := map[string]bool{}
				for last := frame.Flag(0); last != frame.Complete; {
					f := p.next()
					mood, _ := f.Get("X-Mood")
					if f.MessageID != "m" || f.ContentType != "text/plain;x=y" || !f.SuccessReport || f.FailureReport != frame.FailureReportPartial || mood != "fine" || ids[f.ID] {
						s.Errorf("a chunk %v of %s, %s", f.Head, f.MessageID, f.ContentType)
					}
					if f.Range.Start != int64(len(body)+1) || f.Range.Total != int64(len(data)) || len(f.body) > 2048 && f.Range.End != frame.Unknown {
						s.Errorf("a chunk with Byte-Range %v after %d bytes", f.Range, len(body))
					}
					if len(f.body) > c.most {
						s.Errorf("a chunk of %d bytes, want %d at most", len(f.body), c.most)
					}
					body, last, ids[f.ID] = body+f.body, f.flag, true
				}
				if body != data {
					s.Errorf("%d bytes, want %d", len(body), len(data))
				}
				if want := (len(data) + c.most - 1) / c.most; c.relay && len(ids) != want {
					s.Errorf("%d chunks, want %d", len(ids), want)
				}
				p.report("m", "1-50000/50000", "000 200 OK")
				s.sent(done, nil)
			})
		})
	}
}

// behindRelay returns a session whose peer is reached by a relay, which is the peer here.
func (s *scene) behindRelay(limit int64) (*msrp.Session, *peer) {
	s.Helper()
	x := s.session(alice, &msrp.SessionConfig{MaxChunk: limit})
	path, err := frame.ParsePath("msrp://192.0.2.9:2855/relay;tcp msrp://192.0.2.66:2855/peer;tcp")
	if err != nil {
		s.Fatal(err)
	}
	if err := x.Connect(s.Context(), path, false); err != nil {
		s.Fatal(err)
	}
	p := s.calls(x)
	p.from = path.String()
	p.request("SEND", "Message-ID: hello")
	p.response(200)
	return x, p
}
