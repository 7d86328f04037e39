package dialog_test

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// A request is lost, and another with a higher number is not: when the first comes again
// Bob has to refuse it (RFC 3261 section 12.2.2), and it goes out with the next number.
func TestOvertaken(t *testing.T) {
	do := func(method sip.Method, edits ...sip.Edit) func(context.Context, *dialog.Session) (sip.Status, error) {
		return func(ctx context.Context, s *dialog.Session) (sip.Status, error) {
			resp, err := s.Do(ctx, method, edits...)
			if err != nil {
				return 0, err
			}
			return resp.Status(), nil
		}
	}
	for _, c := range []struct {
		name, first string
		send        func(context.Context, *dialog.Session) (sip.Status, error)
		want        []string // what Alice sends beside the call and the MESSAGE
	}{
		{"INFO", "INFO 2", do(sip.INFO), []string{"INFO 2", "INFO 4"}},
		{"UPDATE with an offer", "UPDATE 2", do(sip.UPDATE, sip.Body{Type: "text/plain", Content: "offer"}), []string{"UPDATE 2", "UPDATE 4"}},
		{"re-INVITE", "INVITE 2", func(ctx context.Context, s *dialog.Session) (sip.Status, error) {
			resp, err := s.Invite(ctx, nil)
			if err != nil {
				return 0, err
			}
			if resp.Status().Success() {
				err = s.Ack(ctx)
			}
			return resp.Status(), err
		}, []string{"INVITE 2", "ACK 2", "INVITE 4", "ACK 4"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil), OnRequest: func(tx *dialog.Server, req *sip.Request) {
					if req.Method() == sip.UPDATE {
						tx.Reply(sip.StatusOK, sip.Body{Type: "text/plain", Content: "answer"})
						return
					}
					tx.Reply(sip.StatusOK)
				}})
				alice := newLayer(t, n, aliceAddr, nil)
				s := call(t, alice, "sip:bob@"+bobAddr, "1")
				lose(n, aliceAddr, c.first, 1)
				time.AfterFunc(100*time.Millisecond, func() {
					if resp, err := s.Do(t.Context(), sip.MESSAGE); err != nil || resp.Status() != 200 {
						t.Errorf("the MESSAGE got %v, %v", resp, err)
					}
				})
				if got, err := c.send(t.Context(), s); got != sip.StatusOK || err != nil {
					t.Errorf("it got %v, %v, want 200", got, err)
				}
				time.Sleep(time.Second)
				for _, what := range c.want {
					if got := count(t, n, "alice: "+what); got != 1 {
						t.Errorf("Alice has sent %q %d times, want once", what, got)
					}
				}
				if err := s.Bye(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// The BYE is lost, and the NOTIFY of a REFER, which goes on, is not. Alice is not to keep
// the call for that.
func TestByeOvertaken(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusAccepted) }})
		alice := newLayer(t, n, aliceAddr, &dialog.Config{OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }})
		a := call(t, alice, "sip:bob@"+bobAddr, "1")
		b := <-sessions
		if _, err := a.Do(t.Context(), sip.REFER, referTo("sip:carol@c.example")); err != nil {
			t.Fatal(err)
		}
		lose(n, bobAddr, "BYE 1", 1)
		done := make(chan sip.Status, 1)
		time.AfterFunc(100*time.Millisecond, func() { done <- <-does(t, b, sip.NOTIFY, event("refer;id=2"), state("terminated")) })
		if err := b.Bye(t.Context()); err != nil {
			t.Errorf("Bye() = %v", err)
		}
		if got := <-done; got != sip.StatusOK {
			t.Errorf("the NOTIFY got %v, want 200", got)
		}
		wantEnd(t, a, dialog.ErrBye)
		time.Sleep(time.Minute)
		wantEmpty(t, alice, bob)
	})
}

// A 500 that nothing has overtaken, or that says when to try again, is one of the peer's
// own: the program gets it. One that is overtaken for ever, too.
func TestNotOvertaken(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
		p := newPeer(t, n, aliceAddr)
		p.calls(bobAddr, "1")
		s := <-sessions
		alone := does(t, s, sip.INFO)
		p.reply(p.expect("INFO 1"), sip.StatusServerInternalError)
		if got := <-alone; got != 500 {
			t.Errorf("the INFO got %v, want 500", got)
		}
		for _, c := range []struct {
			method sip.Method
			edits  []sip.Edit // of the 500
			times  int        // that it is sent
		}{
			{sip.INFO, nil, 2},
			{sip.UPDATE, []sip.Edit{sip.RetryAfter{Seconds: 5}}, 1},
		} {
			got := does(t, s, c.method)
			for range c.times {
				in := <-p.in
				if seq := in.Message.CSeq(); seq.Method != c.method {
					t.Fatalf("a %s came, want %s", seq.Method, c.method)
				}
				other := does(t, s, sip.MESSAGE)
				p.reply(<-p.in, sip.StatusOK)
				<-other
				p.reply(in, sip.StatusServerInternalError, c.edits...)
			}
			if got := <-got; got != 500 {
				t.Errorf("the %s got %v, want 500", c.method, got)
			}
			p.silent(time.Second)
		}
	})
}
