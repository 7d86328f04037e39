package dialog_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// The peer falls silent: whatever is under way returns when its context ends, with the error
// of that. INVITE waits for what its CANCEL comes to, and that for a provisional response.
func TestContextIsHeeded(t *testing.T) {
	const patience, timerB = 3 * time.Second, 32 * time.Second
	outside := func(method sip.Method, edits ...sip.Edit) *sip.Request {
		req := newInvite(t, "sip:bob@"+bobAddr, "2")
		return sip.NewRequest(method, req.URI(), append([]sip.Edit{sip.MaxForwards(70), req.From(), req.To(),
			sip.CallID("2"), sip.CSeq{Seq: 1, Method: method}}, edits...)...)
	}
	for _, test := range []struct {
		name string
		in   time.Duration
		do   func(context.Context, *dialog.Layer, *dialog.Session) error
	}{
		{"Layer.Invite", timerB, func(ctx context.Context, l *dialog.Layer, _ *dialog.Session) error {
			_, _, err := l.Invite(ctx, newInvite(t, "sip:bob@"+bobAddr, "2"), nil)
			return err
		}},
		{"Layer.Do", patience, func(ctx context.Context, l *dialog.Layer, _ *dialog.Session) error {
			_, err := l.Do(ctx, outside(sip.OPTIONS))
			return err
		}},
		{"Layer.Subscribe", patience, func(ctx context.Context, l *dialog.Layer, _ *dialog.Session) error {
			_, err := l.Subscribe(ctx, outside(sip.SUBSCRIBE, sip.Event{Package: "x"}), nil)
			return err
		}},
		{"Layer.Shutdown", patience, func(ctx context.Context, l *dialog.Layer, s *dialog.Session) error {
			go s.Do(context.WithoutCancel(ctx), sip.OPTIONS) // ends with the Layer
			synctest.Wait()
			return l.Shutdown(ctx)
		}},
		{"Session.Invite", timerB, func(ctx context.Context, _ *dialog.Layer, s *dialog.Session) error {
			_, err := s.Invite(ctx, nil)
			return err
		}},
		{"Session.Bye", patience, func(ctx context.Context, _ *dialog.Layer, s *dialog.Session) error { return s.Bye(ctx) }},
		{"Dialog.Do", patience, func(ctx context.Context, _ *dialog.Layer, s *dialog.Session) error {
			_, err := s.Do(ctx, sip.OPTIONS)
			return err
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
				alice := newLayer(t, n, aliceAddr, nil)
				s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
				if err != nil {
					t.Fatal(err)
				}
				s.Ack(t.Context())
				time.Sleep(time.Second)
				n.SetFilter(func(siptest.Packet) siptest.Verdict { return siptest.Verdict{Drop: true} })
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				start := time.Now()
				err = test.do(ctx, alice, s)
				if took := time.Since(start); took != test.in || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v after %v, want the error of the context after %v", err, took, test.in)
				}
			})
		})
	}
}
