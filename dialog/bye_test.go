package dialog_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// What the program adds to its BYE cannot be written. The call ends at the peer all
// the same, and the program hears why its words did not get there.
func TestByeThatCannotBeWritten(t *testing.T) {
	for name, edit := range map[string]sip.Edit{
		"two lines": sip.Reason{Protocol: "SIP", Cause: 200, Text: "two\r\nlines"}, "nil": nil,
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			sessions := make(chan *dialog.Session, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, sessions)})
			alice := newLayer(t, n, aliceAddr, nil)
			s := call(t, alice, "sip:bob@"+bobAddr, "1")
			for range 2 {
				var syntax *sip.SyntaxError
				if err := s.Bye(t.Context(), edit); !errors.As(err, &syntax) {
					t.Errorf("%s: Bye() = %v, want a SyntaxError", name, err)
				}
			}
			at := <-sessions
			time.Sleep(time.Minute)
			if err := at.Err(); !errors.Is(err, dialog.ErrBye) {
				t.Errorf("%s: Bob's call has ended with %v, want ErrBye", name, err)
			}
			if got := count(t, n, "alice: BYE 2"); got != 1 {
				t.Errorf("%s: %d BYEs, want 1", name, got)
			}
			wantEmpty(t, alice, bob)
		})
	}
}

// Bye of a call that rings here refuses it, and says why; and also if what the program
// adds cannot be written, which it hears of.
func TestByeOfTheCalleeWhileItRings(t *testing.T) {
	for _, test := range []struct {
		edit sip.Edit
		says string
		bad  bool
	}{
		{sip.Reason{Protocol: "Q.850", Cause: 16}, "Q.850;cause=16", false},
		{sip.Reason{Protocol: "SIP", Cause: 480, Text: "two\r\nlines"}, "", true},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			result := make(chan error, 1)
			bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				result <- in.Session().Bye(ctx, test.edit)
				<-ctx.Done()
			}})
			p := newPeer(t, n, aliceAddr)
			p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact()))
			resp := p.expect("480 INVITE 1").Message
			if got, _ := resp.Value("Reason"); got != test.says {
				t.Errorf("the 480 has the Reason %q, want %q", got, test.says)
			}
			var syntax *sip.SyntaxError
			if err := <-result; errors.As(err, &syntax) != test.bad || (err != nil) != test.bad {
				t.Errorf("Bye() = %v, want a SyntaxError: %v", err, test.bad)
			}
			time.Sleep(time.Minute)
			wantEmpty(t, bob)
		})
	}
}

// Bye says whether the peer has the call no more (RFC 3261 section 15.1.1).
func TestByeRefused(t *testing.T) {
	for _, status := range []sip.Status{
		sip.StatusServiceUnavailable, sip.StatusTooManyHops, sip.StatusCallDoesNotExist, sip.StatusRequestTimeout,
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, nil)
			c := place(t.Context(), t, alice)
			p.reply(p.expect("INVITE 1"), sip.StatusOK, p.contact())
			s := c.answered()
			p.expect("ACK 1")
			result := make(chan error, 1)
			go func() { result <- s.Bye(context.Background()) }() // ends with the answer
			p.reply(p.expect("BYE 2"), status)
			over := status == sip.StatusCallDoesNotExist || status == sip.StatusRequestTimeout
			if err := <-result; over != (err == nil) || !over && !errors.Is(err, status) {
				t.Errorf("a BYE that gets %d: Bye() = %v", status, err)
			}
			p.silent(time.Minute)
			wantEmpty(t, alice)
		})
	}
}

// A BYE goes through two dialogs and ends both, though it has come to the end of its
// hops, or has as many header fields as one message may have.
func TestRelayedByeArrives(t *testing.T) {
	for _, fields := range []int{0, 490} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact()))
			edits := []sip.Edit{bob.contact()}
			for i := range 4 {
				edits = append(edits, bob.via(fmt.Sprint("p", i)))
			}
			invite := bob.expect("INVITE 1")
			bob.reply(invite, sip.StatusOK, append(edits, tagged(invite.Message, "b"))...)
			ok := alice.expect("200 INVITE 1").Message
			alice.send(carolAddr, alice.within(ok, sip.ACK, 1))
			bob.expect("ACK 1")
			edits = []sip.Edit{sip.MaxForwards(0)}
			for i := range fields {
				edits = append(edits, sip.Field{Name: fmt.Sprint("X-", i), Value: "x"})
			}
			alice.send(carolAddr, alice.within(ok, sip.BYE, 2, edits...))
			alice.expect("200 BYE 2")
			what := "BYE 2"
			if fields > 0 {
				what = "BYE 3" // the one before cannot be written
			}
			bye := bob.expect(what)
			if got := bye.Message.(*sip.Request).MaxForwards(); got != 70 {
				t.Errorf("the BYE has Max-Forwards %d, want 70", got)
			}
			bob.reply(bye, sip.StatusOK)
			time.Sleep(time.Minute)
			wantEmpty(t, bridge)
		})
	}
}
