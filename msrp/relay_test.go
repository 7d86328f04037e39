package msrp

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// RFC 6135 section 4.5: who is active sends the first SEND, which has no body.
func TestRelayActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		hello := c.next(frame.SEND)
		if hello.HasBody || hello.To != usePath+" "+bobPath || hello.From != own(t, m) {
			t.Errorf("the first request is %q, want an empty SEND to %s %s", hello.text, usePath, bobPath)
		}
		c.answer(hello, "200 OK")
		sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "Hi") })
		req := c.next(frame.SEND)
		if req.body != "Hi" || req.To != hello.To || req.From != hello.From {
			t.Errorf("got %q, want Hi by the same way", req.text)
		}
		c.answer(req, "200 OK")
		if _, err := sent(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 4975 section 5.4: who is passive sends nothing before the peer has. It knows the peer by the end of From-Path.
func TestRelayPassive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		if err := session.Update(t.Context(), m, answerOf(bobPath, "active")); err != nil {
			t.Fatal(err)
		}
		sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "Hi") })
		c.silent()
		send := func(from string) request {
			t.Helper()
			c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), from)
			return c.next("")
		}
		if got := send(usePath + " msrp://192.0.2.3:4444/eve;tcp"); got.Status != frame.StatusNoSession || got.To != usePath {
			t.Errorf("a stranger got %q, want 481 to %s alone", got.text, usePath)
		}
		c.silent()
		c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath, bobPath)
		resp, req := c.any(), c.any()
		if resp.Method != "" {
			resp, req = req, resp // neither waits for the other
		}
		if resp.Status != frame.StatusOK || req.Method != frame.SEND {
			t.Errorf("bob got %q and %q, want 200 and a SEND", resp.text, req.text)
		}
		c.answer(req, "200 OK")
		if _, err := sent(); err != nil || req.body != "Hi" {
			t.Errorf("sent %q, %v, want Hi", req.text, err)
		}
		if got := send(usePath + " msrp://192.0.2.3:4444/eve;tcp"); got.Status != frame.StatusNoSession {
			t.Errorf("then a stranger got %q, want 481", got.text)
		}
	})
}

// The first SEND of the peer may be faster than its answer.
func TestRelayPeerBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		send := func(from string) frame.Status {
			c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\nContent-Type: text/plain\n\nHi\n-------d93kswow$\n", own(t, m), usePath, from)
			return c.next("").Status
		}
		for _, from := range []string{"msrp://192.0.2.3:4444/eve;tcp", bobPath, "msrp://192.0.2.3:4444/eve;tcp"} {
			if got := send(from); got != frame.StatusOK {
				t.Errorf("%s before the answer: %v, want 200", from, got)
			}
		}
		if err := session.Update(t.Context(), m, answerOf(bobPath, "active")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := session.Connected(ctx); err != nil {
			t.Error(err)
		}
		var from []string
		for in, err := range session.Messages(ctx) {
			if err == nil {
				from = append(from, in.From[len(in.From)-1].String())
			}
		}
		if want := []string{bobPath}; !slices.Equal(from, want) {
			t.Errorf("messages from %q, want %q", from, want)
		}
	})
}

// Whoever was there before the answer has to be who has answered.
func TestRelayStrangerBeforeAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		m, c := s.offer(session)
		for _, want := range []frame.Status{frame.StatusOK, frame.StatusNoSession} {
			c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s msrp://192.0.2.3:4444/eve;tcp\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath)
			if got := c.next(""); got.Status != want {
				t.Errorf("eve got %q, want %d", got.text, int(want))
			}
			if err := session.Update(t.Context(), m, answerOf(bobPath, "active")); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := session.Connected(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Connected() = %v, want to wait for bob", err)
		}
	})
}

// RFC 4976 section 11: the answer has the relay's path, whatever the offer's protocol is.
func TestRelayAnswer(t *testing.T) {
	for setup, active := range map[string]bool{"": false, "active": false, "actpass": false, "passive": true} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, nil)
			session := NewSession(s.alice, nil)
			use := "msrps://relay.example.com:9000/hjdhfha;tcp"
			answered := later(func() (*sdp.Media, error) { return session.Answer(t.Context(), answerOf(bobPath, setup)) })
			c := s.relay.accept()
			c.admit(use)
			m, err := answered()
			if err != nil || m == nil {
				t.Fatalf("Answer() = %v, %v", m, err)
			}
			if !strings.HasPrefix(attribute(t, m, "path"), use+" msrp://192.0.2.1:9/") || m.Proto != "TCP/TLS/MSRP" {
				t.Errorf("answer is %s with path %s, want TCP/TLS/MSRP and the relay first", m.Proto, attribute(t, m, "path"))
			}
			if got := attribute(t, m, "setup"); (got == "active") != active {
				t.Errorf("setup = %s to %q", got, setup)
			}
			if _, ok := m.Attribute("fingerprint"); ok {
				t.Error("the answer has a fingerprint, which nobody sees behind a relay")
			}
			if err := session.Update(t.Context(), m, answerOf(bobPath, setup)); err != nil {
				t.Fatal(err)
			}
			if active {
				c.next(frame.SEND)
			}
			c.silent()
		})
	}
}

// What is offered by TLS is not answered without.
func TestRelayAnswerWithoutTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		offer := answerOf(strings.Replace(bobPath, "msrp:", "msrps:", 1), "actpass")
		offer.Proto = "TCP/TLS/MSRP"
		answered := later(func() (*sdp.Media, error) { return NewSession(s.alice, nil).Answer(t.Context(), offer) })
		s.relay.accept().admit(usePath)
		if m, err := answered(); m != nil || err != nil {
			t.Errorf("Answer() = %v, %v, want none, for the relay is reached without TLS", m, err)
		}
	})
}

// With RFC 6714 the address of the relay is that of the section.
func TestRelayCEMA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		m, _ := s.offer(NewSession(s.alice, &SessionConfig{CEMA: true}))
		if m.Address != "192.0.2.9" || m.Port != 2855 {
			t.Errorf("offered %s:%d, want the relay's 192.0.2.9:2855", m.Address, m.Port)
		}
		attribute(t, m, "msrp-cema")
	})
}

// RFC 6714 section 4.3: with a relay of ours the answer is one of RFC 6714, unless the peer has a relay, too, or will not
// connect.
func TestRelayCEMAAnswer(t *testing.T) {
	for _, c := range []struct {
		name, path, setup string
		cema              bool
	}{
		{"who may connect", bobPath, "actpass", true},
		{"who connects", bobPath, "active", true},
		{"who does not connect", bobPath, "passive", false},
		{"who has a relay", "msrp://192.0.2.150:2855/relay;tcp " + bobPath, "actpass", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, nil)
				session := NewSession(s.alice, nil)
				offer := answerOf(c.path, c.setup)
				offer.Attributes = append(offer.Attributes, sdp.Attribute{Name: "msrp-cema"})
				answered := later(func() (*sdp.Media, error) { return session.Answer(t.Context(), offer) })
				s.relay.accept().admit(usePath)
				m, err := answered()
				if err != nil || m == nil {
					t.Fatalf("Answer() = %v, %v", m, err)
				}
				if _, got := m.Attribute("msrp-cema"); got != c.cema {
					t.Errorf("msrp-cema in the answer: %v, want %v", got, c.cema)
				}
				// The section has the relay's address then, and else that of the session's own URI.
				want := "192.0.2.1"
				if c.cema {
					want = "192.0.2.9"
				}
				if m.Address != want {
					t.Errorf("the answer is at %s, want %s", m.Address, want)
				}
			})
		})
	}
}

// RFC 6714 section 4.2, criterion 2: a middlebox and a peer that does not know of it, with a relay of ours, need
// another offer.
func TestRelayCEMAOffer(t *testing.T) {
	for _, c := range []struct {
		name, address string
		cema          bool
		again         bool
	}{
		{"no middlebox", "192.0.2.2", false, false},
		{"a middlebox, and a peer with", "192.0.2.200", true, false},
		{"a middlebox, and a peer without", "192.0.2.200", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t, nil)
				session := NewSession(s.alice, &SessionConfig{CEMA: true})
				m, r := s.offer(session)
				answer := answerOf(bobPath, "passive")
				if answer.Address = c.address; c.cema {
					answer.Attributes = append(answer.Attributes, sdp.Attribute{Name: "msrp-cema"})
				}
				if err := session.Update(t.Context(), m, answer); err != nil {
					t.Fatal(err)
				}
				if !c.again {
					r.next(frame.SEND) // by the relay, wherever the peer is
					return
				}
				if err := session.SendText(t.Context(), "Hi"); !errors.Is(err, ErrLost) {
					t.Errorf("SendText() = %v, want %v", err, ErrLost)
				}
				offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
				req := r.next(frame.AUTH)
				r.answer(req, "200 OK", "Use-Path: "+usePath)
				again, err := offered()
				if err != nil {
					t.Fatal(err)
				}
				if _, ok := again.Attribute("msrp-cema"); ok {
					t.Error("the next offer has msrp-cema")
				}
			})
		})
	}
}

// Relays may take little at a time: chunks have 8192 bytes at most, and the program may choose less.
func TestRelayChunks(t *testing.T) {
	for limit, want := range map[int64]int{0: 8192, 2048: 2048} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, nil)
			session, c, _ := s.connected(&SessionConfig{MaxChunk: limit})
			data := strings.Repeat("0123456789", 2000)
			sent := later(func() (any, error) {
				return nil, session.Send(t.Context(), &Message{Body: strings.NewReader(data)})
			})
			var got strings.Builder
			for flag := frame.Continued; flag == frame.Continued; {
				req := c.next(frame.SEND)
				if len(req.body) > want {
					t.Errorf("a chunk has %d bytes, want at most %d", len(req.body), want)
				}
				got.WriteString(req.body)
				flag = req.flag
				c.answer(req, "200 OK")
			}
			if _, err := sent(); err != nil || got.String() != data {
				t.Errorf("%d bytes have arrived, %v, want %d", got.Len(), err, len(data))
			}
		})
	}
}

// RFC 4976 section 6.4.1: the relay answers for itself, and reports what becomes of the message.
func TestRelayReportsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		reports := make(chan Report, 1)
		for _, success := range []bool{true, false} {
			sent := later(func() (any, error) {
				return nil, session.Send(t.Context(), &Message{Body: strings.NewReader("Hi"), SuccessReport: success, OnReport: func(r Report) { reports <- r }})
			})
			req := c.next(frame.SEND)
			c.answer(req, "200 OK")
			if !success {
				if _, err := sent(); err != nil {
					t.Errorf("Send() = %v, want nil: the relay has it", err)
				}
			}
			c.send("MSRP r408 REPORT\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: %s\nByte-Range: 1-2/2\nStatus: 000 408 Timeout\n-------r408$\n",
				own(t, m), usePath, req.MessageID)
			if r := <-reports; r.Status != frame.StatusTimeout {
				t.Errorf("reported %v, want 408", r)
			}
			if success {
				if _, err := sent(); !errors.Is(err, frame.StatusTimeout) {
					t.Errorf("Send() = %v, want 408", err)
				}
			}
		}
	})
}

// A relay of the peer reports in its own name, too.
func TestPeersRelayReportsFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(cfg *Config) { cfg.Relays = nil })
		session := NewSession(s.alice, nil)
		path, err := session.Path(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		remote, err := frame.ParsePath(usePath + " " + bobPath)
		if err != nil {
			t.Fatal(err)
		}
		connected := later(func() (any, error) { return nil, session.Connect(t.Context(), remote, true) })
		c := s.relay.accept()
		c.answer(c.next(frame.SEND), "200 OK")
		if _, err := connected(); err != nil {
			t.Fatal(err)
		}
		sent := later(func() (any, error) {
			return nil, session.Send(t.Context(), &Message{Body: strings.NewReader("Hi"), SuccessReport: true})
		})
		req := c.next(frame.SEND)
		c.answer(req, "200 OK")
		c.send("MSRP r481 REPORT\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: %s\nStatus: 000 481 Gone\n-------r481$\n", path, usePath, req.MessageID)
		if _, err := sent(); !errors.Is(err, frame.StatusNoSession) {
			t.Errorf("Send() = %v, want 481", err)
		}
	})
}

// RFC 4975 sections 7.1.3 and 7.2: a response goes to the relay, a report the whole way back.
func TestRelayReportGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		go func() { // ends with the session
			for m, err := range session.Messages(t.Context()) {
				if err == nil {
					io.Copy(io.Discard, m)
				}
			}
		}()
		back := usePath + " msrp://b.example.net:9000/aeiug;tcp " + bobPath
		c.send("MSRP juh76 SEND\nTo-Path: %s\nFrom-Path: %s\nSuccess-Report: yes\nByte-Range: 1-2/2\nMessage-ID: 87652\nContent-Type: text/plain\n\nHi\n-------juh76$\n", own(t, m), back)
		resp := c.next("")
		if resp.Status != frame.StatusOK || resp.To != usePath || resp.From != own(t, m) {
			t.Errorf("the response is %q, want 200 to %s", resp.text, usePath)
		}
		report := c.next(frame.REPORT)
		if report.To != back || report.Report != frame.StatusOK || report.MessageID != "87652" {
			t.Errorf("the report is %q, want 200 to %s", report.text, back)
		}
	})
}

// RFC 4976 section 9.4: before a path ends, an offer brings another one, and it ends when that is in use.
func TestRelayPathExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		told := make(chan time.Duration, 1)
		begin := time.Now()
		session := NewSession(s.alice, &SessionConfig{OnExpiring: func() { told <- time.Since(begin) }})
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		c.admit(usePath, "Expires: 900")
		m, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Update(t.Context(), m, answerOf(bobPath, "passive")); err != nil {
			t.Fatal(err)
		}
		c.answer(c.next(frame.SEND), "200 OK")
		if after := <-told; after != 840*time.Second {
			t.Errorf("told after %v, want 14 minutes", after)
		}
		offered = later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c.admit("msrp://192.0.2.9:2855/next;tcp", "Expires: 900")
		next, err := offered()
		if err != nil || own(t, next) == own(t, m) {
			t.Fatalf("the next offer is %v, %v, want one with another URI", next, err)
		}
		sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "still there") })
		req := c.next(frame.SEND)
		c.answer(req, "200 OK")
		if _, err := sent(); err != nil || req.From != own(t, m) {
			t.Errorf("sent %q, %v, want it by the old path", req.text, err)
		}
		if err := session.Update(t.Context(), next, answerOf("msrp://192.0.2.2:4444/bob2;tcp", "passive")); err != nil {
			t.Fatal(err)
		}
		hello := c.next(frame.SEND)
		if hello.From != own(t, next) || !strings.HasPrefix(hello.To, "msrp://192.0.2.9:2855/next;tcp ") {
			t.Errorf("got %q, want a SEND by the new path", hello.text)
		}
		c.answer(hello, "200 OK")
		time.Sleep(60 * time.Second)
		if err := session.Connected(t.Context()); err != nil {
			t.Errorf("when the old path has ended: %v", err)
		}
	})
}

// Without another offer the session is lost with its path.
func TestRelayPathHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		begin := time.Now()
		c.admit(usePath, "Expires: 60")
		if _, err := offered(); err != nil {
			t.Fatal(err)
		}
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) || time.Since(begin) != time.Minute {
				t.Errorf("after %v: %v, want ErrLost after a minute", time.Since(begin), err)
			}
		}
	})
}

// Another phone answers the same offer: the session goes on with it by the same relay.
func TestRelayFork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		if err := session.Update(t.Context(), m, answerOf("msrp://192.0.2.3:4444/carol;tcp", "passive")); err != nil {
			t.Fatal(err)
		}
		if hello := c.next(frame.SEND); hello.To != usePath+" msrp://192.0.2.3:4444/carol;tcp" || hello.From != own(t, m) {
			t.Errorf("got %q, want a SEND to carol", hello.text)
		}
		c.send("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s %s\nMessage-ID: 1\n-------d93kswow$\n", own(t, m), usePath, bobPath)
		if got := c.next(""); got.Status != frame.StatusNoSession {
			t.Errorf("bob got %q, want 481", got.text)
		}
		c.nc.Close()
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) {
				t.Errorf("then: %v, want ErrLost", err)
			}
		}
	})
}
