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

// expires says how long a session may go without a refresh.
func expires(value string) sip.Edit { return sip.Field{Name: "Session-Expires", Value: value} }

var timers = sip.Supported{sip.OptionTimer}

// Two of our own: the caller refreshes by UPDATE every 15 minutes, without a word of
// the programs, though the network loses much. Nobody ends the call but they.
func TestCallIsRefreshed(t *testing.T) {
	for _, refresher := range []string{"caller", "callee"} {
		t.Run("by the "+refresher, func(t *testing.T) {
			storyOn(t, &siptest.NetworkConfig{Seed: 7, Delay: 10 * time.Millisecond, Loss: 0.2, Record: true}, func(t *testing.T, n *siptest.Network) {
				sessions := make(chan *dialog.Session, 1)
				cfg := &dialog.Config{SessionTimer: &dialog.SessionTimer{}, OnInvite: accepting(t, sessions)}
				bob := newLayer(t, n, bobAddr, cfg)
				alice := newLayer(t, n, aliceAddr, cfg)
				edits := []sip.Edit{sip.Allow{sip.UPDATE}}
				if refresher == "callee" {
					edits = append(edits, timers, expires("1800;refresher=uas"))
				}
				s := call(t, alice, "sip:bob@"+bobAddr, "1", edits...)
				time.Sleep(5 * time.Hour)
				if err := s.Err(); err != nil {
					t.Errorf("the call has ended: %v", err)
				}
				if err := s.Bye(t.Context()); err != nil {
					t.Error(err)
				}
				host := map[string]string{"caller": aliceAddr, "callee": bobAddr}[refresher]
				updates := 0
				for _, p := range n.Packets() {
					m, err := sip.Parse(string(p.Data))
					if err != nil || m.CSeq().Method != sip.UPDATE {
						continue
					}
					if _, request := m.(*sip.Request); request && !p.Lost {
						updates++
						if got := p.From.Addr().String(); got != host {
							t.Errorf("%s sends an UPDATE", got)
						}
						if got, _ := m.Value("Session-Expires"); got != "1800;refresher=uac" {
							t.Errorf("an UPDATE has Session-Expires %q", got)
						}
						if body := m.(*sip.Request).Body(); body != "" {
							t.Errorf("an UPDATE has the body %q", body)
						}
					}
				}
				if updates < 19 {
					t.Errorf("%d UPDATEs in five hours, want about 20", updates)
				}
				time.Sleep(time.Minute)
				wantEmpty(t, alice, bob)
			})
		})
	}
}

// The peer that is to refresh the call does not: it ends 32 s, or a third of a short
// interval, before that is over (RFC 4028 section 10), whether timers are ours or
// those of others that a program passes on.
func TestCallIsNotRefreshed(t *testing.T) {
	for _, relay := range []bool{false, true} {
		for _, test := range []struct {
			interval int
			ends     time.Duration
		}{{1800, 1768 * time.Second}, {90, 60 * time.Second}} {
			story(t, func(t *testing.T, n *siptest.Network) {
				ended := make(chan error, 1)
				cfg := &dialog.Config{OnEnd: func(s *dialog.Session) { ended <- s.Err() }}
				said := expires(fmt.Sprint(test.interval, ";refresher=uac"))
				cfg.OnInvite = func(_ context.Context, in *dialog.Invitation) {
					var edits []sip.Edit
					if relay {
						edits = append(edits, said)
					}
					in.Accept(edits...)
				}
				if !relay {
					cfg.SessionTimer = &dialog.SessionTimer{}
				}
				bob := newLayer(t, n, bobAddr, cfg)
				p := newPeer(t, n, aliceAddr)
				start := time.Now()
				p.calls(bobAddr, "1", timers, said)
				bye := p.expect("BYE 1")
				if got, want := bye.Time.Sub(start), test.ends; got < want || got > want+time.Second {
					t.Errorf("BYE comes after %v, want %v", got, want)
				}
				p.reply(bye, sip.StatusOK)
				if err := <-ended; !errors.Is(err, dialog.ErrNotRefreshed) {
					t.Errorf("the call ended with %v, want ErrNotRefreshed", err)
				}
				time.Sleep(time.Second)
				wantEmpty(t, bob)
			})
		}
	}
}

// A Layer without session timers leaves the headers of a program that passes them on
// alone, and adds none.
func TestNoSessionTimerOfOurs(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		sessions := make(chan *dialog.Session, 1)
		cfg := &dialog.Config{OnInvite: accepting(t, sessions), OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }}
		newLayer(t, n, bobAddr, cfg)
		alice := newLayer(t, n, aliceAddr, cfg)
		s := call(t, alice, "sip:bob@"+bobAddr, "1", timers, expires("20;refresher=uas")) // too short, for those who look
		if _, err := (<-sessions).Do(t.Context(), sip.UPDATE); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if err := s.Err(); err != nil {
			t.Errorf("the call has ended: %v", err)
		}
		for _, p := range n.Packets() {
			m, err := sip.Parse(string(p.Data))
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if summary(m) == "INVITE 1" {
				want = "20;refresher=uas"
			}
			if got, _ := m.Value("Session-Expires"); got != want {
				t.Errorf("%s has Session-Expires %q, want %q", summary(m), got, want)
			}
		}
	})
}

// upWithTimer has Alice call a peer that agrees on ten minutes, which she refreshes.
func upWithTimer(t *testing.T, n *siptest.Network, cfg *dialog.SessionTimer, edits ...sip.Edit) (*peer, *dialog.Session, sip.Message) {
	t.Helper()
	p := newPeer(t, n, bobAddr)
	alice := newLayer(t, n, aliceAddr, &dialog.Config{SessionTimer: cfg})
	c := place(t.Context(), t, alice)
	invite := p.expect("INVITE 1")
	p.reply(invite, sip.StatusOK, append([]sip.Edit{p.contact(), tagged(invite.Message, "b"), expires("600;refresher=uac")}, edits...)...)
	s := c.answered()
	p.expect("ACK 1")
	return p, s, invite.Message
}

// A refresh that is refused is tried again, until it is too late; one that says that
// the call is gone ends it (RFC 4028 section 10).
func TestRefreshFails(t *testing.T) {
	for _, status := range []sip.Status{408, 481, 491, 500, 503, 405} {
		t.Run(fmt.Sprint(int(status)), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				p, s, _ := upWithTimer(t, n, &dialog.SessionTimer{})
				start := time.Now()
				p.reply(p.expect("UPDATE 2"), status)
				if status == 408 || status == 481 {
					bye := p.expect("BYE 3")
					if got := bye.Time.Sub(start).Round(time.Second); got != 5*time.Minute {
						t.Errorf("BYE comes after %v, want 5 min", got)
					}
					p.reply(bye, sip.StatusOK)
					wantEnd(t, s, dialog.ErrLost)
					return
				}
				seq := 3
				for {
					in := <-p.in
					if summary(in.Message) == summaryOf(sip.BYE, seq) {
						if got := in.Time.Sub(start).Round(time.Second); got != 568*time.Second {
							t.Errorf("BYE comes after %v, want 568 s", got)
						}
						p.reply(in, sip.StatusOK)
						break
					}
					p.reply(in, status)
					seq++
				}
				if seq < 5 || seq > 20 {
					t.Errorf("the refresh was tried %d times, want some", seq-1)
				}
				wantEnd(t, s, dialog.ErrNotRefreshed)
			})
		})
	}
	t.Run("and then not", func(t *testing.T) {
		story(t, func(t *testing.T, n *siptest.Network) {
			p, s, _ := upWithTimer(t, n, &dialog.SessionTimer{})
			p.reply(p.expect("UPDATE 2"), sip.StatusRequestPending)
			p.reply(p.expect("UPDATE 3"), sip.StatusOK, p.contact(), expires("600;refresher=uac"))
			start := time.Now()
			in := p.expect("UPDATE 4")
			if got := in.Time.Sub(start).Round(time.Second); got != 5*time.Minute {
				t.Errorf("the next refresh comes after %v, want 5 min", got)
			}
			if err := s.Err(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("without an answer", func(t *testing.T) {
		story(t, func(t *testing.T, n *siptest.Network) {
			p, s, _ := upWithTimer(t, n, &dialog.SessionTimer{})
			p.expect("UPDATE 2")
			wantEnd(t, s, dialog.ErrLost)
			p.reply(p.expect("BYE 3", "UPDATE 2"), sip.StatusOK)
		})
	})
}

// A peer that has not said that it knows UPDATE gets what the program makes: an INVITE
// with the description that it has.
func TestRefreshByINVITE(t *testing.T) {
	for _, knows := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			asked := make(chan *dialog.Session, 10)
			cfg := &dialog.SessionTimer{Refresh: func(s *dialog.Session) {
				asked <- s
				if _, err := s.Invite(s.Value().(context.Context), nil, session); err != nil {
					t.Error(err)
				}
				s.Ack(t.Context())
			}}
			allow := sip.Allow{sip.INVITE}
			if knows {
				allow = append(allow, sip.UPDATE)
			}
			p, s, _ := upWithTimer(t, n, cfg, allow)
			s.SetValue(t.Context())
			for i := range 2 {
				if knows {
					p.reply(p.expect(summaryOf(sip.UPDATE, i+2)), sip.StatusOK, p.contact(), expires("600;refresher=uac"))
					continue
				}
				re := p.expect(summaryOf(sip.INVITE, i+2))
				if got, _ := re.Message.Value("Session-Expires"); got != "600;refresher=uac" {
					t.Errorf("the INVITE has Session-Expires %q", got)
				}
				p.reply(re, sip.StatusOK, p.contact(), expires("600;refresher=uac"))
				p.expect(summaryOf(sip.ACK, i+2))
			}
			if got := len(asked); got != 0 == knows {
				t.Errorf("the program was asked %d times", got)
			}
		})
	}
}

// A peer says that it knows UPDATE, and refuses it, as where somebody on the way does
// not let it pass. The call is refreshed by INVITE at once, and from then on.
func TestRefreshByINVITEAfterUPDATE(t *testing.T) {
	for _, status := range []sip.Status{sip.StatusMethodNotAllowed, sip.StatusNotImplemented} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p, s, _ := upWithTimer(t, n, &dialog.SessionTimer{Refresh: func(s *dialog.Session) {
				if _, err := s.Invite(s.Value().(context.Context), nil, session); err != nil {
					t.Error(err)
				}
				s.Ack(t.Context())
			}}, sip.Allow{sip.INVITE, sip.UPDATE})
			s.SetValue(t.Context())
			update := p.expect("UPDATE 2")
			p.reply(update, status)
			first := p.expect("INVITE 3")
			if got := first.Time.Sub(update.Time); got > time.Second {
				t.Errorf("the INVITE comes %v after the UPDATE, want at once", got)
			}
			p.reply(first, sip.StatusOK, p.contact(), expires("600;refresher=uac"))
			p.expect("ACK 3")
			p.reply(p.expect("INVITE 4"), sip.StatusOK, p.contact(), expires("600;refresher=uac"))
			p.expect("ACK 4")
			if err := s.Err(); err != nil {
				t.Errorf("the call has ended: %v", err)
			}
		})
	}
}

// Before the call is answered there is no session that could expire, whatever an
// UPDATE says.
func TestNoTimerOfAnEarlyDialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{SessionTimer: &dialog.SessionTimer{},
			OnInvite: func(ctx context.Context, in *dialog.Invitation) {
				in.Provisional(sip.StatusRinging)
				<-ctx.Done()
			}})
		p := newPeer(t, n, aliceAddr)
		p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, "1", p.contact(), timers, sip.Expires(1000)))
		ring := p.expect("180 INVITE 1").Message
		p.send(bobAddr, p.within(ring, sip.UPDATE, 2, p.contact(), timers, expires("90;refresher=uac")))
		if got, has := p.expect("200 UPDATE 2").Message.Value("Session-Expires"); has {
			t.Errorf("the 200 says %s, want nothing of it", got)
		}
		p.silent(900*time.Second, "180 INVITE 1")
		p.expect("487 INVITE 1", "180 INVITE 1")
	})
}

// A restart in the middle of an interval: the timer runs on, at the side that
// refreshes and at the other.
func TestRestartWithASessionTimer(t *testing.T) {
	for _, refreshes := range []bool{true, false} {
		story(t, func(t *testing.T, n *siptest.Network) {
			cfg := func() *dialog.Config {
				return &dialog.Config{SessionTimer: &dialog.SessionTimer{}, OnInvite: accepting(t, nil)}
			}
			bob := newLayer(t, n, bobAddr, cfg())
			p := newPeer(t, n, aliceAddr)
			who := "uac"
			if refreshes {
				who = "uas"
			}
			p.calls(bobAddr, "1", timers, sip.MinSE(500), expires("600;refresher="+who))
			start := time.Now()
			time.Sleep(100 * time.Second)
			_, sessions := again(t, n, bobAddr, keep(t, bob), cfg())
			if refreshes {
				for i := range 2 {
					update := p.expect(summaryOf(sip.UPDATE, i+1))
					if got, want := update.Time.Sub(start).Round(time.Second), time.Duration(i+1)*300*time.Second; got != want {
						t.Errorf("the refresh comes after %v, want %v", got, want)
					}
					if got, _ := update.Message.Value("Min-SE"); got != "500" {
						t.Errorf("the UPDATE has Min-SE %q, want 500", got)
					}
					p.reply(update, sip.StatusOK, p.contact(), expires("600;refresher=uac"))
				}
				return
			}
			bye := p.expect("BYE 1")
			if got := bye.Time.Sub(start).Round(time.Second); got != 568*time.Second {
				t.Errorf("BYE comes after %v, want 568 s", got)
			}
			p.reply(bye, sip.StatusOK)
			wantEnd(t, sessions[0], dialog.ErrNotRefreshed)
		})
	}
}

// A call that ends takes its timer with it.
func TestTimerEndsWithTheCall(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p, s, invite := upWithTimer(t, n, &dialog.SessionTimer{})
		p.send(aliceAddr, p.back(invite, tagged(invite, "b"), sip.BYE, 1))
		p.expect("200 BYE 1")
		wantEnd(t, s, dialog.ErrBye)
		p.silent(time.Hour)
	})
}
