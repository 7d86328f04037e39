package transport

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

const tcpVia = "Via: SIP/2.0/TCP 192.0.2.1;rport;branch=z9hG4bK1"

// RFC 5626 section 4.4.1: CRLF CRLF between messages is answered with one CRLF.
func TestPing(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send("\r\n\r\n")
		if got := phone.receive(); got != "\r\n" {
			t.Errorf("a ping was answered with %q, want CRLF", got)
		}
		phone.send("\r")
		synctest.Wait()
		phone.send("\n\r\n" + message(options, tcpVia) + "\r\n\r\n")
		synctest.Wait()
		if got := phone.receive(); got != "\r\n\r\n" {
			t.Errorf("two pings around a message were answered with %q, want two CRLFs", got)
		}
		s.one(e)
		phone.send("\r\n") // a pong
		if got := phone.receive(); got != "" {
			t.Errorf("a pong was answered with %q, want nothing", got)
		}
		s.stats(e, Stats{Received: 1})
	})
}

// RFC 3261 section 18.3: Content-Length tells where a message on a stream ends,
// wherever TCP cuts it.
func TestStreamInPieces(t *testing.T) {
	for _, segment := range []int{1, 2, 7, 0} {
		t.Run(fmt.Sprint(segment), func(t *testing.T) {
			play(t, &siptest.NetworkConfig{Segment: segment}, func(s *scene) {
				e := s.listen(nil)
				phone := s.dial(s.alice, bobAddr)
				var sent strings.Builder
				for i := range 5 {
					sent.WriteString(message(options, tcpVia, fmt.Sprintf("Content-Length: %d", i), "\n"+"body"[:i]))
				}
				phone.send(sent.String())
				got := e.take()
				if len(got) != 5 {
					t.Fatalf("%d messages, want 5", len(got))
				}
				for i, in := range got {
					if in.Message.Body() != "body"[:i] || in.Flow.RemoteAddr().String() != "192.0.2.1:49152" {
						t.Errorf("message %d has body %q and came by %v", i, in.Message.Body(), in.Flow)
					}
				}
			})
		})
	}
}

// A malformed message whose end is known costs that message alone.
func TestMalformedOnStream(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia, "Call-ID:") +
			message("ACK sip:bob@192.0.2.2 SIP/2.0", tcpVia, "Call-ID:") +
			message("SIP/2.0 200 OK", tcpVia, "Call-ID:") +
			message(options, tcpVia))
		s.one(e)
		text := phone.receive()
		if !strings.HasPrefix(text, "SIP/2.0 400 Bad Call-ID\r\n") || strings.Count(text, "SIP/2.0 400") != 1 {
			t.Errorf("answered %q, want one 400 Bad Call-ID", text)
		}
		s.stats(e, Stats{Received: 1, Sent: 1, MalformedRequests: 2, MalformedResponses: 1})
		if got := len(e.malformed); got != 3 {
			t.Errorf("the trace has %d malformed messages, want 3", got)
		}
	})
}

// Streams that are framed badly, and what becomes of each.
func TestHostileStreams(t *testing.T) {
	for _, c := range []struct {
		name, text string
		handed     int
		closed     bool
		want       Stats
	}{
		{"Content-Length smaller than the body", // what is over is no message
			message(options, tcpVia, "Content-Length: 4", "\nbody and more\r\n\r\n") + message(options, tcpVia), 1, true,
			Stats{Received: 1, UnframedStreams: 1}},
		{"Content-Length larger than the body", // the next message is taken for body, and its rest is none
			message(options, tcpVia, "Content-Length: 30", "\nbody") + message(options, tcpVia) + message(options, tcpVia), 2, false,
			Stats{Received: 2, MalformedResponses: 1}},
		{"no Content-Length", message(options, tcpVia, "Content-Length:"), 0, true, Stats{UnframedStreams: 1}},
		{"two Content-Lengths", message(options, tcpVia, "l: 0"), 0, true, Stats{UnframedStreams: 1}},
		{"negative Content-Length", message(options, tcpVia, "Content-Length: -1"), 0, true, Stats{UnframedStreams: 1}},
		{"Content-Length 2^32", message(options, tcpVia, "Content-Length: 4294967296"), 0, true, Stats{UnframedStreams: 1}},
		{"Content-Length 2^64+1", message(options, tcpVia, "Content-Length: 18446744073709551617"), 0, true, Stats{UnframedStreams: 1}},
		{"a body of a gigabyte", message(options, tcpVia, "Content-Length: 1073741824"), 0, true, Stats{UnframedStreams: 1}},
		{"a header section without end", options + "\r\n" + strings.Repeat("Subject: x\r\n", 10000), 0, true, Stats{UnframedStreams: 1}},
		{"a line without end", strings.Repeat("x", 100000), 0, true, Stats{UnframedStreams: 1}},
		{"CR without LF", "\rx", 0, true, Stats{UnframedStreams: 1}},
		{"CRLFs between", "\r\n" + message(options, tcpVia) + "\r\n\r\n\r\n" + message(options, tcpVia), 2, false, Stats{Received: 2}},
		{"CRLF inside", options + "\r\n\r\n" + message(options, tcpVia), 0, true, Stats{UnframedStreams: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.listen(nil)
				phone := s.dial(s.alice, bobAddr)
				io.WriteString(phone, c.text) // may end early, as the other end closes
				if got := len(e.take()); got != c.handed {
					t.Errorf("%d messages were handed over, want %d", got, c.handed)
				}
				for phone.receive() != "" { // a pong
				}
				if got := phone.isClosed(); got != c.closed {
					t.Errorf("closed = %v, want %v", got, c.closed)
				}
				s.stats(e, c.want)
				for _, m := range e.malformed {
					if errors.Is(m.Err, sip.ErrFraming) != c.closed {
						t.Errorf("the trace has %v, want ErrFraming = %v", m.Err, c.closed)
					}
				}
			})
		})
	}
}

// A message cut off by the end of the connection is no message.
func TestStreamEndsInAMessage(t *testing.T) {
	play(t, nil, func(s *scene) {
		var reasons []error
		e := s.listen(&Config{Closed: func(_ Flow, err error) { reasons = append(reasons, err) }})
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia) + message(options, tcpVia, "Content-Length: 30", "\nbody"))
		phone.Close()
		s.one(e)
		if len(reasons) != 1 || !errors.Is(reasons[0], io.ErrUnexpectedEOF) {
			t.Errorf("Closed was called with %v, want ErrUnexpectedEOF", reasons)
		}
		s.stats(e, Stats{Received: 1})
		s.tables(e, 0, 0)
	})
}

// A peer that sends a byte a minute has 32 seconds for a message, and as long
// for the first one at all. Keepalives count as neither.
func TestSlowLoris(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		slow, mute := s.dial(s.alice, bobAddr), s.dial(s.alice, bobAddr)
		client := s.dial(s.alice, bobAddr)
		client.send(message(options, tcpVia))
		s.wait(messageTimeout - time.Second)
		slow.send("O")
		s.wait(2 * time.Second)
		if !slow.isClosed() || !mute.isClosed() {
			t.Error("a connection without a message is open after 33 s")
		}
		s.tables(e, 1, 0)

		// One that has sent a message may be quiet, or send keepalives ...
		for range 30 {
			client.send("\r\n\r\n")
			s.wait(time.Minute)
			client.receive()
		}
		s.tables(e, 1, 0)
		// ... but not begin a message and leave it at that.
		client.send(options)
		s.wait(messageTimeout)
		if !client.isClosed() {
			t.Error("the connection is open 32 s after half a message")
		}
		s.tables(e, 0, 0)
	})
}

// The 32 seconds for a message count from its first byte, also where that came
// in one segment with the end of what was before it.
func TestMessageThatBeginsBehindAnother(t *testing.T) {
	half := options + "\r\n"
	whole := message(options, tcpVia)
	for name, text := range map[string]string{
		"a message":                  whole + half,
		"a message and a CRLF":       whole + "\r\n" + half,
		"a message and a ping":       whole + "\r\n\r\n" + half,
		"a message and a byte":       whole + "O",
		"a broken message":           whole + message(options, tcpVia, "Call-ID:") + half,
		"several messages":           whole + whole + whole + half,
		"a message of 100,000 bytes": message(options, tcpVia, "Content-Length: 100000", "\n"+strings.Repeat("a", 100000)) + half,
	} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.listen(nil)
				phone := s.dial(s.alice, bobAddr)
				phone.send(text)
				s.wait(31 * time.Second)
				s.tables(e, 1, 0)
				s.wait(time.Second)
				s.tables(e, 0, 0)
			})
		})
	}
	// Each message has the time of its own: the end of one in the 31st second
	// takes none from the next.
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(whole[:50])
		for range 5 {
			s.wait(31 * time.Second)
			phone.send(whole[50:] + whole[:50])
			s.one(e)
		}
		phone.send(whole[50:] + "\r\n")
		s.one(e)
		s.wait(9 * time.Minute)
		s.tables(e, 1, 0)
	})
}

// A connection is closed when nothing has passed for Config.Idle, in either
// direction.
func TestIdle(t *testing.T) {
	play(t, nil, func(s *scene) {
		type closing struct {
			at  time.Duration
			err error
		}
		var closed []closing
		e := s.listen(&Config{Idle: 100 * time.Second, Closed: func(_ Flow, err error) {
			closed = append(closed, closing{time.Since(s.began), err})
		}})
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		in := s.one(e)
		for range 3 {
			s.wait(60 * time.Second)
			phone.send(message(options, tcpVia))
			s.wait(60 * time.Second)
			if err := e.Send(in.Flow, outgoing(t)); err != nil {
				t.Fatal(err)
			}
			phone.receive()
		}
		s.wait(time.Hour)
		if len(closed) != 1 || closed[0].at != 460*time.Second || !errors.Is(closed[0].err, os.ErrDeadlineExceeded) {
			t.Errorf("Closed was called with %v, want a timeout at 460s", closed)
		}
		s.tables(e, 0, 0)
	})
}

// A connection is not idle while something is waited for on it, however long that
// takes, by whatever wire.
func TestHold(t *testing.T) {
	for _, via := range []string{tcpVia, wsVia} {
		play(t, nil, func(s *scene) {
			var closed []time.Duration
			e := s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "ws:" + bobWS}, Idle: 100 * time.Second, Closed: s.closings(&closed)})
			if via == tcpVia {
				s.dial(s.alice, bobAddr).send(message(options, via))
			} else {
				s.browse(s.alice, bobWS).write(frameText, message(options, via))
			}
			flow := s.one(e).Flow
			if !flow.Accepted() {
				t.Error("a connection that the peer has made is not Accepted")
			}
			e.Hold(flow)
			e.Hold(flow)
			s.wait(1010 * time.Second)
			e.Release(flow)
			s.wait(1010 * time.Second)
			if err := flow.Err(); err != nil {
				t.Errorf("a connection that is held has ended: %v", err)
			}
			e.Release(flow)
			s.wait(time.Hour)
			if len(closed) != 1 || closed[0] != 2120*time.Second {
				t.Errorf("closed at %v, want 100 s after the last Release at 2020s", closed)
			}
			e.Hold(Flow{})
			e.Release(Flow{})
		})
	}
}

// A peer that does not read costs a bounded backlog and its own connection.
// Others are served meanwhile.
func TestPeerThatDoesNotRead(t *testing.T) {
	play(t, nil, func(s *scene) {
		var reasons []error
		var e *inbox
		e = s.listen(&Config{Handle: func(in *Inbound) { ok(&e)(in) }, Closed: func(_ Flow, err error) { reasons = append(reasons, err) }})
		deaf, phone := s.dial(s.alice, bobAddr), s.dial(s.alice, bobAddr)
		deaf.send(message(options, tcpVia))
		flow := s.one(e).Flow
		big := outgoing(t).With(sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
		n := 0
		var err error
		for range 2 { // what is queued first, the writer takes at once
			for err = nil; err == nil && n < 100; n++ {
				err = e.Send(flow, big)
			}
			synctest.Wait()
		}
		if !errors.Is(err, ErrBacklog) {
			t.Fatalf("the %dth message: %v, want ErrBacklog", n, err)
		}
		phone.send(message(options, tcpVia))
		s.contains(phone.receive(), "SIP/2.0 200 OK")

		// A response is no reason for a second connection.
		tcp := s.accept(s.alice, aliceAddr)
		r := parse[*sip.Request](t, message(options, tcpVia))
		resp := r.Reply(sip.StatusOK, sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
		if err := e.Respond(&Inbound{Message: r, Flow: flow}, resp); !errors.Is(err, ErrBacklog) {
			t.Errorf("Respond = %v, want ErrBacklog", err)
		}
		if got := len(tcp.all()); got != 0 {
			t.Errorf("%d new connections, want 0", got)
		}

		s.wait(writeTimeout)
		if len(reasons) != 1 || !errors.Is(reasons[0], os.ErrDeadlineExceeded) {
			t.Errorf("Closed was called with %v, want one timeout", reasons)
		}
		if err := e.Send(flow, big); !errors.Is(err, ErrNoFlow) {
			t.Errorf("Send = %v, want ErrNoFlow", err)
		}
		s.tables(e, 1, 0)
	})
}

// A peer that reads slowly gets everything, in order.
func TestPeerThatReadsSlowly(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		flow := s.one(e).Flow
		var sent, got strings.Builder
		for i := range 15 {
			m := outgoing(t).With(sip.CSeq{Seq: uint32(i), Method: sip.OPTIONS}, sip.Body{Type: "text/plain", Content: strings.Repeat("x", 60000)})
			sent.WriteString(m.String())
			if err := e.Send(flow, m); err != nil {
				t.Fatal(err)
			}
		}
		for got.Len() < sent.Len() {
			s.wait(writeTimeout / 2)
			text := phone.receive()
			if text == "" {
				t.Fatalf("%d bytes arrived, want %d", got.Len(), sent.Len())
			}
			got.WriteString(text)
		}
		if got.String() != sent.String() {
			t.Error("what arrived is not what was sent")
		}
		synctest.Wait()
		c := flow.via.(*conn)
		c.mu.Lock()
		defer c.mu.Unlock()
		if got := cap(c.unsent); got != 0 {
			t.Errorf("%d bytes are held for a connection on which nothing waits", got)
		}
	})
}

// RFC 3261 sections 18.3 and 20.14: UDP does without Content-Length, a stream
// does not. A body that looks like a message stays a body, by every way that a
// message takes to a stream.
func TestEveryMessageOnAStreamHasAContentLength(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		inner := message("BYE sip:bob@192.0.2.1 SIP/2.0", tcpVia)
		unframed := func(start string, more ...string) string {
			return message(start, append(more, "Content-Type: text/plain", "Content-Length:", "\n"+inner)...)
		}
		udp, tcp := s.peerSocket(s.alice, "192.0.2.1:5070"), s.accept(s.alice, aliceAddr)
		udp.send(unframed("MESSAGE sip:bob@192.0.2.2 SIP/2.0"), bobAddr)
		r := s.one(e).Message.(*sip.Request)
		if _, ok := r.Value("Content-Length"); ok {
			t.Fatal("the request has a Content-Length, and the test no point")
		}
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		in := s.one(e)
		resp := parse[*sip.Response](t, unframed("SIP/2.0 200 OK", "Via: SIP/2.0/TCP 192.0.2.1:5060;branch=z9hG4bK1"))

		ways := []struct {
			name string
			send func() (sip.Message, error)
			to   func() *peerStream
		}{
			{"SendRequest", func() (sip.Message, error) {
				_, out, err := e.SendRequest(background, r, target("TCP", aliceAddr), "z9hG4bK1")
				return out, err
			}, func() *peerStream { return tcp.all()[0] }},
			{"Prepare and Send", func() (sip.Message, error) {
				flow, out, err := e.Prepare(background, r, target("TCP", aliceAddr), "z9hG4bK1")
				if err == nil {
					err = e.Send(flow, out)
				}
				return out, err
			}, func() *peerStream { return tcp.all()[0] }},
			{"Prepare of a large request for UDP", func() (sip.Message, error) {
				large := r.With(sip.Field{Name: "Subject", Value: strings.Repeat("x", 1300)})
				flow, out, err := e.Prepare(background, large, target("UDP", aliceAddr), "z9hG4bK1")
				if err == nil {
					err = e.Send(flow, out)
				}
				return out, err
			}, func() *peerStream { return tcp.all()[0] }},
			{"Forward", func() (sip.Message, error) { return nil, e.Forward(background, resp) },
				func() *peerStream { return tcp.all()[0] }},
			{"Send", func() (sip.Message, error) { return nil, e.Send(in.Flow, r) }, func() *peerStream { return phone }},
			{"Respond", func() (sip.Message, error) { return nil, e.Respond(in, resp) }, func() *peerStream { return phone }},
			{"Respond without the field", func() (sip.Message, error) {
				return nil, e.Respond(in, in.Message.(*sip.Request).Reply(sip.StatusOK, sip.Body{Type: "text/plain", Content: inner}, sip.Del("Content-Length")))
			}, func() *peerStream { return phone }},
		}
		for _, way := range ways {
			out, err := way.send()
			if err != nil {
				t.Errorf("%s: %v", way.name, err)
				continue
			}
			synctest.Wait()
			text := way.to().receive()
			if out != nil && out.String() != text {
				t.Errorf("%s: sent %q, want what was returned: %q", way.name, text, out)
			}
			reader := sip.NewReader(strings.NewReader(text), nil)
			m, err := reader.ReadMessage()
			if err != nil || m.Body() != inner {
				t.Errorf("%s: %v, body %q; want the body that was given", way.name, err, m)
				continue
			}
			if m, err := reader.ReadMessage(); err != io.EOF {
				t.Errorf("%s: behind the message came %q, %v", way.name, m, err)
			}
			if got := e.sent[len(e.sent)-1].Text; got != text {
				t.Errorf("%s: the trace has %q, want what was sent", way.name, got)
			}
		}
	})
}
