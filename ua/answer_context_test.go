package ua_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// The caller does not acknowledge. Answer returns when its context ends, and its BYE waits for
// the ACK, which comes in the end or does not (RFC 3261 section 15).
func TestAnswerHeedsContext(t *testing.T) {
	for _, test := range []struct {
		name  string
		ack   time.Duration // after the 200; 0: never
		byeIn time.Duration
	}{{"no ACK", 0, 32 * time.Second}, {"a late ACK", 10 * time.Second, 10 * time.Second}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				stream := newStream(t)
				result := make(chan error, 1)
				var took time.Duration
				bob := newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
					ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
					defer cancel()
					start := time.Now()
					call, err := in.Answer(ctx, stream)
					if call != nil {
						t.Error("a call that is not acknowledged is there")
					}
					took = time.Since(start)
					result <- err
				}})
				byes := make(chan time.Time, 1)
				stranger := newPeer(t, n, "192.0.2.9", func(tx *transaction.Server, req *sip.Request) {
					if req.Method() == sip.BYE {
						byes <- time.Now()
					}
					tx.Reply(sip.StatusOK)
				})
				start := time.Now()
				invite := request(sip.INVITE, bobURI, contactAt("192.0.2.9"), describe("192.0.2.9", 1, "audio 5000 RTP/AVP 0"))
				resp, err := stranger.Do(t.Context(), invite)
				if err != nil || resp.Status() != sip.StatusOK {
					t.Fatal(resp, err)
				}
				if err := <-result; !errors.Is(err, context.DeadlineExceeded) || took != 3*time.Second {
					t.Errorf("Answer() = %v after %v, want the error of its context after 3s", err, took)
				}
				stream.told()
				stream.check(t, "Bob", "", true)
				if test.ack > 0 {
					time.Sleep(test.ack - time.Since(start))
					stranger.Send(t.Context(), request(sip.ACK, bobURI, resp.From(), resp.To(), sip.CallID(resp.CallID())))
				}
				if got := (<-byes).Sub(start).Round(time.Second); got != test.byeIn {
					t.Errorf("the BYE came after %v, want %v", got, test.byeIn)
				}
				time.Sleep(time.Minute)
				if calls, dialogs, others := bob.Left(); calls+dialogs+others > 0 {
					t.Errorf("%d calls, %d dialogs and %d others are left", calls, dialogs, others)
				}
			})
		})
	}
}

// A program answers in a goroutine of its own, with the context of OnInvite, which returns
// while the ACK is still on its way.
func TestAnswerOutlivesOnInvite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: time.Second})
		calls := make(chan *ua.Call, 1)
		newAgent(t, n, "192.0.2.2", "sip:bob@b.example", ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
			answering := make(chan struct{})
			go func() { // ends with the ACK
				close(answering)
				call, err := in.Answer(ctx, newStream(t))
				if err != nil {
					t.Errorf("Answer() = %v", err)
				}
				calls <- call
			}()
			<-answering
			time.Sleep(time.Millisecond) // the 200 is sent
		}})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{newStream(t)}})
		if err != nil {
			t.Fatal(err)
		}
		if bob := <-calls; bob == nil || bob.Err() != nil {
			t.Error("the call is over at the callee")
		}
		time.Sleep(time.Minute)
		if err := call.Err(); err != nil {
			t.Errorf("the call is over: %v", err)
		}
		call.Hangup(t.Context())
	})
}
