package dialog_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// RFC 5407 section 3.1.1: the 180 and the 200 are lost, and the INVITE comes
// again. The transaction absorbs it, and the 200 goes out again by itself.
func TestRace311InviteAgainInMoratorium(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		lose(n, bobAddr, "200 INVITE 1", 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		time.Sleep(time.Minute)
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// RFC 5407 section 3.1.2: CANCEL crosses the 200. The CANCEL gets its 200, and
// the call stands until the caller, who does not want it, ends it.
func TestRace312CancelInMoratorium(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		answered := make(chan bool)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			<-answered
			accepting(t, sessions)(ctx, in)
		}})
		alice := newLayer(t, n, aliceAddr, nil)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, func() { cancel(); close(answered) })
		s, _, err := alice.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
		if s != nil || !errors.Is(err, context.Canceled) {
			t.Errorf("Invite() = %v, %v, want the error of the context", s, err)
		}
		<-(<-sessions).Done()
		time.Sleep(time.Minute)
		for _, line := range []string{"alice: CANCEL 1", "bob: 200 CANCEL 1", "bob: 200 INVITE 1",
			"alice: ACK 1", "alice: BYE 2", "bob: 200 BYE 2"} {
			if got := count(t, n, line); got != 1 {
				t.Errorf("%q %d times, want once", line, got)
			}
		}
		wantEmpty(t, alice, bob)
	})
}

// RFC 5407 section 3.1.3: a BYE for the early dialog crosses the 200. It ends
// the call, and the 200 needs no ACK any more.
func TestRace313EarlyByeInMoratorium(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		failed := make(chan error, 1)
		answered := make(chan bool)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			in.Provisional(sip.StatusRinging)
			<-answered
			_, err := in.Accept()
			failed <- err
		}})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		ringing := p.expect("180 INVITE 1").Message
		close(answered)
		p.send(bobAddr, p.within(ringing, sip.BYE, 2))
		ok := p.expect("200 INVITE 1").Message
		p.expect("200 BYE 2")
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		if err := <-failed; !errors.Is(err, dialog.ErrBye) {
			t.Errorf("Accept() = %v, want ErrBye", err)
		}
		p.silent(time.Minute)
		wantEmpty(t, bob)
	})
}

// RFC 5407 sections 3.1.4 and 3.1.5: the ACK is lost, and a re-INVITE overtakes
// the 200 that asks for it. It gets 491; the ACK of the first INVITE, when it
// comes again, is taken although its number is lower.
func TestRace314ReinviteInMoratorium(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		lose(n, aliceAddr, "ACK 1", 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		resp, err := s.Invite(t.Context(), nil)
		if err != nil || resp.Status() != sip.StatusRequestPending {
			t.Errorf("Invite() = %v, %v, want 491", resp, err)
		}
		time.Sleep(s.RetryDelay())
		resp, err = s.Invite(t.Context(), nil)
		if err != nil || resp.Status() != sip.StatusOK {
			t.Errorf("Invite() = %v, %v, want 200", resp, err)
		}
		s.Ack(t.Context())
		time.Sleep(time.Minute)
		wantLadder(t, n, "alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1 lost",
			"alice: INVITE 2", "bob: 491 INVITE 2", "alice: ACK 2",
			"bob: 200 INVITE 1", "alice: ACK 1",
			"alice: INVITE 3", "bob: 200 INVITE 3", "alice: ACK 3")
		if err := s.Err(); err != nil {
			t.Errorf("Err() = %v, want nil", err)
		}
	})
}

// RFC 5407 section 3.1.4 against a callee that accepts such a re-INVITE: both
// 200s get their ACKs, also when that of the first comes again last.
func TestRace314TwoAnswersAtOnce(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		first := p.expect("INVITE 1")
		to := tagged(first.Message, "bob")
		one := p.reply(first, sip.StatusOK, p.contact(), to)
		s := <-result
		p.expect("ACK 1")
		go func() { // ends with the answer
			s.Invite(t.Context(), nil)
			s.Ack(t.Context())
		}()
		second := p.expect("INVITE 2")
		two := p.reply(second, sip.StatusOK, p.contact())
		p.expect("ACK 2")
		p.respond(first, one)
		p.expect("ACK 1")
		p.respond(second, two)
		p.expect("ACK 2")
	})
}

// RFC 5407 section 3.1.6: the ACK is lost, and the caller's BYE crosses the 200
// that comes again. That gets its ACK, and the call stays ended.
func TestRace316ByeInMoratorium(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, nil)
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		invite := p.expect("INVITE 1")
		ok := p.reply(invite, sip.StatusOK, p.contact())
		s := <-result
		ack := p.expect("ACK 1").Message.String()
		go s.Bye(t.Context()) // ends with the answer
		p.reply(p.expect("BYE 2"), sip.StatusOK)
		for range 3 {
			p.respond(invite, ok)
			if got := p.expect("ACK 1").Message.String(); got != ack {
				t.Errorf("the ACK is\n%s\nwant\n%s", got, ack)
			}
		}
		p.silent(time.Minute)
		wantEmpty(t, alice)
	})
}

// The other side of section 3.1.6: the callee gets a BYE before the ACK. Its
// 200 stops, and no BYE of its own follows.
func TestRace316CalleeGetsByeBeforeACK(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		failed := make(chan error, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
			_, err := in.Accept()
			failed <- err
		}})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
		ok := p.expect("200 INVITE 1").Message
		p.send(bobAddr, p.within(ok, sip.BYE, 2))
		p.expect("200 BYE 2")
		if err := <-failed; !errors.Is(err, dialog.ErrBye) {
			t.Errorf("Accept() = %v, want ErrBye", err)
		}
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.silent(2 * time.Minute)
		wantEmpty(t, bob)
	})
}

// RFC 5407 section 3.2.1: BYEs cross. Both get 200, and both calls are ended by
// the side that they are on.
func TestRace321ByesCross(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		ends := make(chan error, 4)
		cfg := dialog.Config{OnEnd: func(s *dialog.Session) { ends <- s.Err() }}
		sessions := make(chan *dialog.Session, 1)
		bobs := cfg
		bobs.OnInvite = accepting(t, sessions)
		bob := newLayer(t, n, bobAddr, &bobs)
		alice := newLayer(t, n, aliceAddr, &cfg)
		s := call(t, alice, "sip:bob@"+bobAddr, "1")
		at := <-sessions
		done := make(chan error, 2)
		for _, s := range []*dialog.Session{s, at} {
			go func() { done <- s.Bye(t.Context()) }() // ends with the answer
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
			if err := <-ends; !errors.Is(err, dialog.ErrEnded) {
				t.Errorf("a call ended with %v, want ErrEnded", err)
			}
		}
		for _, line := range []string{"alice: 200 BYE 1", "bob: 200 BYE 2"} {
			if got := count(t, n, line); got != 1 {
				t.Errorf("%q %d times, want once", line, got)
			}
		}
		time.Sleep(time.Minute)
		if len(ends) != 0 {
			t.Errorf("OnEnd was called %d more times", len(ends))
		}
		wantEmpty(t, alice, bob)
	})
}

// RFC 5407 section 3.2.2: a re-INVITE crosses the BYE and gets 481.
func TestRace322ReinviteInMortal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		go (<-sessions).Bye(t.Context()) // ends with the answer
		bye := p.expect("BYE 1")
		change := p.send(bobAddr, p.within(ok, sip.INVITE, 2, p.contact()))
		p.refused(bobAddr, change, p.expect("481 INVITE 2").Message)
		p.reply(bye, sip.StatusOK)
		p.silent(time.Minute)
	})
}

// RFC 5407 section 3.2.3: the 200 to a re-INVITE comes after a BYE of the other
// side. It gets its ACK, and the call stays ended.
func TestRace323AnswerInMortal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		s := <-sessions
		result := make(chan error, 1)
		go func() { // ends with the 200
			_, err := s.Invite(t.Context(), nil)
			s.Ack(t.Context())
			result <- err
		}()
		invite := p.expect("INVITE 1")
		p.send(bobAddr, p.within(ok, sip.BYE, 2))
		p.expect("200 BYE 2")
		answer := p.reply(invite, sip.StatusOK, p.contact())
		if err := <-result; err != nil {
			t.Errorf("Invite() = %v, want the 200", err)
		}
		p.expect("ACK 1")
		p.respond(invite, answer)
		p.expect("ACK 1")
		if err := s.Err(); !errors.Is(err, dialog.ErrBye) {
			t.Errorf("Err() = %v, want ErrBye", err)
		}
		p.silent(time.Minute)
		wantEmpty(t, bob)
	})
}

// RFC 5407 section 3.2.4: an ACK comes after the BYE of the callee, which had
// waited for none. It is ignored.
func TestRace324ACKInMortal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		ok := p.calls(bobAddr, "1")
		go (<-sessions).Bye(t.Context()) // ends with the answer
		bye := p.expect("BYE 1")
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.reply(bye, sip.StatusOK)
		p.send(bobAddr, p.within(ok, sip.ACK, 1))
		p.silent(time.Minute)
	})
}
