package transaction

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// An INVITE is given up while the next target is being reached: it is not sent
// there. Whoever answers it would have it ring for nobody.
func TestGivenUpBeforeNextTarget(t *testing.T) {
	for _, how := range []string{"cancel", "context", "loop left"} {
		t.Run(how, func(t *testing.T) {
			failover(t, func(t *testing.T, n *siptest.Network, alice *Layer, first, second *peer) {
				go func() {
					invite := first.request(sip.INVITE)
					first.send(reply(invite, 503, "1"))
					first.request(sip.ACK)
				}()
				silence := make(chan string)
				go func() { silence <- second.all(time.Minute) }()
				tries, reaching, reached := 0, make(chan struct{}), make(chan struct{})
				ctx, end := context.WithCancel(t.Context())
				defer end()
				edited := transport.WithEdits(ctx, func(context.Context, transport.Flow) ([]sip.Edit, error) {
					if tries++; tries == 2 {
						close(reaching)
						<-reached
					}
					return nil, nil
				})
				var j journal
				each := func(_ *sip.Response, err error) {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("told of %v, want %v", err, context.Canceled)
					}
					j.note("given up")
				}
				want := []string{"given up"}
				invite := request(sip.INVITE, "sip:bob@b.example")
				switch how {
				case "loop left":
					p := &pursuit{l: alice, ctx: edited, r: invite, each: func(resp *sip.Response, err error) bool { each(resp, err); return false }}
					p.start()
					<-reaching
					p.quit()
					want = nil // nobody is there to be told
				case "cancel":
					cancel := alice.Start(edited, invite, each)
					<-reaching
					cancel(nil)
				case "context":
					alice.Start(edited, invite, each)
					<-reaching
					end()
				}
				pass(time.Second)
				close(reached)
				if got := <-silence; got != "" {
					t.Errorf("the second target has got %q", got)
				}
				j.check(t, want...)
			})
		})
	}
}

// A connection to the next target that does not come about holds up nobody who has
// given up.
func TestGivenUpWhileConnecting(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host("192.0.2.8"), &Config{Handler: answer(503)})
		alice := listenAsking(t, n.Host(aliceAddr), names{"b.example": addrs("192.0.2.8", "192.0.2.99")}, nil)
		var told time.Time
		cancel := alice.Start(t.Context(), request(sip.INVITE, "sip:bob@b.example;transport=tcp"), func(_ *sip.Response, err error) {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("told of %v, want %v", err, context.Canceled)
			}
			told = time.Now()
		})
		pass(time.Second)
		start := time.Now()
		cancel(nil)
		pass(time.Minute)
		if took := told.Sub(start); took != 0 {
			t.Errorf("told after %v, want at once", took)
		}
	})
}
