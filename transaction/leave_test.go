package transaction

import (
	"context"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The loop over the responses is left, by break or by a panic: the INVITE is
// cancelled and its 487 acknowledged, with nobody waiting.
func TestLoopLeft(t *testing.T) {
	for _, how := range []string{"break", "panic", "return"} {
		t.Run(how, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					tx.Reply(180)
					<-tx.Context().Done()
				}})
				alice := listen(t, n.Host(aliceAddr), nil)
				start := time.Now()
				func() {
					defer func() { recover() }()
					for range alice.Responses(t.Context(), request(sip.INVITE, bobURI)) {
						switch how {
						case "break":
						case "panic":
							panic("a bug in the program")
						case "return":
							return
						}
						break
					}
				}()
				if got := time.Since(start); got != 20*time.Millisecond {
					t.Errorf("the loop took %v, want 20ms", got)
				}
				pass(time.Minute)
				ladder(t, n, start, `
					 0s > INVITE
					10ms < 180 INVITE
					20ms > CANCEL
					30ms < 200 CANCEL
					30ms < 487 INVITE
					40ms > ACK`)
			})
		})
	}
}

// The loop is left on the 180, and the 200 comes all the same: before, after,
// and again. Each goes to Accepted, whose user says ACK and BYE.
func TestLoopLeftAndAccepted(t *testing.T) {
	for _, when := range []string{"with the 180", "after the CANCEL"} {
		t.Run(when, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var j journal
				bob := bobPeer(t, n)
				original := request(sip.INVITE, bobURI)
				alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(invite *sip.Request, resp *sip.Response) {
					if invite != original {
						t.Errorf("Accepted got another INVITE:\n%s", invite)
					}
					j.note("%d", int(resp.Status()))
				}})
				go func() {
					invite := bob.request(sip.INVITE)
					bob.send(reply(invite, 180, "b"))
					if when == "with the 180" {
						bob.send(reply(invite, 200, "b"))
					} else {
						bob.request(sip.CANCEL)
						bob.send(reply(invite, 200, "b"))
					}
					bob.send(reply(invite, 200, "b"))
				}()
				for range alice.Responses(t.Context(), original) {
					pass(time.Second)
					break
				}
				pass(time.Second)
				j.check(t, "200", "200")
			})
		})
	}
}

// onAnswer is a context that is asked when it need not be watched any more: when the
// final response is on its way to the loop. That goes on when the loop is left.
type onAnswer struct {
	context.Context
	coming, left chan struct{}
}

func (c onAnswer) Value(any) any { return nil }

func (c onAnswer) AfterFunc(func()) (stop func() bool) {
	return func() bool {
		close(c.coming)
		<-c.left
		return true
	}
}

// The loop is left on the 180 while the 200 is on its way to it: Accepted is told
// of it.
func TestLoopLeftAsAnswerComes(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var j journal
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), &Config{Accepted: func(_ *sip.Request, resp *sip.Response) { j.note("%d", int(resp.Status())) }})
		parent, cancel := context.WithCancel(t.Context())
		defer cancel()
		ctx := onAnswer{parent, make(chan struct{}), make(chan struct{})}
		go func() {
			invite := bob.request(sip.INVITE)
			bob.send(reply(invite, 180, "b"))
			pass(10 * time.Millisecond)
			bob.send(reply(invite, 200, "b"))
		}()
		for range alice.Responses(ctx, request(sip.INVITE, bobURI)) {
			<-ctx.coming
			break
		}
		close(ctx.left)
		pass(time.Second)
		j.check(t, "200")
		bob.expectAll(time.Minute, "")
	})
}

// A loop left on its final response has nothing to cancel.
func TestLoopLeftOnFinal(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: answer(200)})
		alice := listen(t, n.Host(aliceAddr), nil)
		start := time.Now()
		for range alice.Responses(t.Context(), request(sip.INVITE, bobURI)) {
			break
		}
		for range alice.Responses(t.Context(), request(sip.OPTIONS, bobURI, sip.CallID("2"))) {
			break
		}
		pass(time.Minute)
		ladder(t, n, start, `
			 0s > INVITE
			10ms < 200 INVITE
			20ms > OPTIONS
			30ms < 200 OPTIONS`)
	})
}

// A non-INVITE request whose loop is left on a 183 of a strange peer is
// abandoned.
func TestLoopLeftNonInvite(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listen(t, n.Host(aliceAddr), nil)
		go func() {
			bob.send(reply(bob.request(sip.OPTIONS), 183, "b"))
			bob.expectAll(time.Minute, "")
		}()
		for range alice.Responses(t.Context(), request(sip.OPTIONS, bobURI)) {
			break
		}
		if got := tallyOf(alice).clients; got != 0 {
			t.Errorf("%d client transactions, want none", got)
		}
	})
}
