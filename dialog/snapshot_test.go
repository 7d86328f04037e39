package dialog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// keep closes a Layer without a word, with a snapshot of each of its calls.
func keep(t testing.TB, l *dialog.Layer) (kept [][]byte) {
	t.Helper()
	l.Close()
	for s := range l.Dialogs() {
		data, err := s.Snapshot()
		if err != nil {
			t.Errorf("Snapshot() = %v", err)
		}
		kept = append(kept, data)
	}
	return kept
}

// again starts a Layer anew with the calls of the one before.
func again(t *testing.T, n *siptest.Network, addr string, kept [][]byte, cfg *dialog.Config) (*dialog.Layer, []*dialog.Session) {
	t.Helper()
	if cfg == nil {
		cfg = &dialog.Config{}
	}
	var restored []*dialog.Session
	cfg.Restore = func(l *dialog.Layer) error {
		for _, data := range kept {
			d, err := l.Restore(data)
			if err != nil {
				return err
			}
			restored = append(restored, d.Session())
		}
		return nil
	}
	l := newLayer(t, n, addr, cfg)
	if len(restored) != len(kept) {
		t.Fatalf("%d calls were restored, want %d", len(restored), len(kept))
	}
	return l, restored
}

// A call that is up is restored, at the side that was called or at the one that
// called. Each side changes it and asks something, and one hangs up: the numbers
// go on.
func TestRestartOfACall(t *testing.T) {
	for _, side := range []string{"callee", "caller"} {
		for _, hangsUp := range []string{"alice", "bob"} {
			t.Run(side+" restarts, "+hangsUp+" hangs up", func(t *testing.T) {
				story(t, func(t *testing.T, n *siptest.Network) {
					ended := make(chan error, 3)
					config := func() *dialog.Config {
						return &dialog.Config{
							OnInvite: accepting(t, nil),
							OnRequest: func(tx *dialog.Server, req *sip.Request) {
								if tx.Dialog() == nil {
									t.Errorf("%s came outside of the call", req.Method())
								}
								tx.Reply(sip.StatusOK)
							},
						}
					}
					alice, bob := newLayer(t, n, aliceAddr, config()), newLayer(t, n, bobAddr, config())
					sa := call(t, alice, "sip:bob@"+bobAddr, "call-1")
					time.Sleep(time.Minute)
					if _, err := sa.Do(t.Context(), sip.INFO); err != nil {
						t.Error(err)
					}
					var sb *dialog.Session
					for d := range bob.Dialogs() {
						sb = d.Session()
					}
					cfg := config()
					cfg.OnEnd = func(s *dialog.Session) { ended <- s.Err() }
					var restored *dialog.Session
					if side == "callee" {
						_, sessions := again(t, n, bobAddr, keep(t, bob), cfg)
						restored, sb = sessions[0], sessions[0]
					} else {
						_, sessions := again(t, n, aliceAddr, keep(t, alice), cfg)
						restored, sa = sessions[0], sessions[0]
					}
					if restored.Remote().String() == "" || restored.ID().CallID != "call-1" {
						t.Errorf("restored is %v with %v", restored.ID(), restored.Remote())
					}
					for _, s := range []*dialog.Session{sa, sb} {
						if resp, err := s.Invite(t.Context(), nil); err != nil || resp.Status() != 200 {
							t.Errorf("re-INVITE: %v, %v", resp, err)
						}
						if err := s.Ack(t.Context()); err != nil {
							t.Error(err)
						}
						if resp, err := s.Do(t.Context(), sip.INFO); err != nil || resp.Status() != 200 {
							t.Errorf("INFO: %v, %v", resp, err)
						}
						time.Sleep(time.Second)
					}
					why := dialog.ErrBye
					if (side == "callee") == (hangsUp == "bob") {
						why = dialog.ErrEnded
					}
					if err := map[string]*dialog.Session{"alice": sa, "bob": sb}[hangsUp].Bye(t.Context()); err != nil {
						t.Error(err)
					}
					if err := <-ended; !errors.Is(err, why) {
						t.Errorf("the restored call ended with %v, want %v", err, why)
					}
					want := []string{
						"alice: INVITE 1", "bob: 200 INVITE 1", "alice: ACK 1",
						"alice: INFO 2", "bob: 200 INFO 2",
						"alice: INVITE 3", "bob: 200 INVITE 3", "alice: ACK 3", "alice: INFO 4", "bob: 200 INFO 4",
						"bob: INVITE 1", "alice: 200 INVITE 1", "bob: ACK 1", "bob: INFO 2", "alice: 200 INFO 2",
					}
					if hangsUp == "alice" {
						want = append(want, "alice: BYE 5", "bob: 200 BYE 5")
					} else {
						want = append(want, "bob: BYE 3", "alice: 200 BYE 3")
					}
					wantLadder(t, n, want...)
				})
			})
		}
	}
}

// What is not restored is not known: 481, as before. A number below those that the
// run before has seen is out of order; the last one of them may not have been
// answered, and is taken once.
func TestRestartKnowsItsCallsAlone(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		p := newPeer(t, n, aliceAddr)
		resp := p.calls(bobAddr, "call-1")
		other := p.calls(bobAddr, "call-2")
		p.send(bobAddr, p.within(resp, sip.OPTIONS, 7))
		p.expect("405 OPTIONS 7")
		var kept [][]byte
		for s := range bob.Dialogs() {
			if s.ID().CallID == "call-1" {
				data, err := s.Snapshot()
				if err != nil {
					t.Fatal(err)
				}
				kept = append(kept, data)
			}
		}
		bob.Close()
		again(t, n, bobAddr, kept, nil)
		p.send(bobAddr, p.within(other, sip.BYE, 2))
		p.expect("481 BYE 2")
		p.send(bobAddr, p.within(resp, sip.BYE, 6))
		p.expect("500 BYE 6")
		p.send(bobAddr, p.within(resp, sip.OPTIONS, 7))
		p.expect("405 OPTIONS 7")
		p.send(bobAddr, p.within(resp, sip.OPTIONS, 7))
		p.expect("500 OPTIONS 7")
		p.send(bobAddr, p.within(resp, sip.BYE, 8))
		p.expect("200 BYE 8")
	})
}

// The caller is started anew around its ACK: before it was sent, after, and when
// it was lost. Each 2xx that comes gets it.
func TestRestartOfTheCallerAroundTheACK(t *testing.T) {
	for _, acked := range []bool{false, true} {
		t.Run(fmt.Sprint("was sent: ", acked), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice := newLayer(t, n, aliceAddr, nil)
				p := newPeer(t, n, bobAddr)
				answers := make(chan func(), 1)
				go func() { // ends with the answer
					invite := p.expect("INVITE 1")
					ok := p.reply(invite, 200, p.contact(), invite.Message.(*sip.Request).To().WithTag("b"))
					answers <- func() { p.respond(invite, ok) }
				}()
				s, _, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "call-1",
					sip.Field{Name: "Proxy-Authorization", Value: `Digest username="alice"`}), nil)
				if err != nil {
					t.Fatal(err)
				}
				in := <-answers // answers again
				if acked {
					if err := s.Ack(t.Context()); err != nil {
						t.Fatal(err)
					}
					p.expect("ACK 1") // and loses it
				}
				_, sessions := again(t, n, aliceAddr, keep(t, alice), nil)
				if !acked {
					in() // nobody has acknowledged it
					p.silent(time.Second)
					if err := sessions[0].Ack(t.Context(), sip.Body{Type: "text/plain", Content: "v=0"}); err != nil {
						t.Fatal(err)
					}
					ack := p.expect("ACK 1").Message
					if value, _ := ack.Value("Proxy-Authorization"); value != `Digest username="alice"` || ack.Body() != "v=0" {
						t.Errorf("the ACK is\n%s\nwant the credentials of the INVITE, and the body", ack)
					}
					p.expect("ACK 1") // the 2xx that came before it is owed one
				}
				if err := sessions[0].Ack(t.Context()); err != nil {
					t.Error(err) // there is none to send
				}
				p.silent(time.Second)
				for range 3 {
					in()
					p.expect("ACK 1")
				}
				p.silent(time.Minute)
				in() // minutes late: nobody knows it
				p.silent(time.Second)
				if err := sessions[0].Err(); err != nil {
					t.Errorf("Err() = %v, want a call that is up", err)
				}
			})
		})
	}
}

// The caller of a re-INVITE is started anew before the answer. It comes all the
// same, and gets its ACK, or the peer would hang up.
func TestRestartDuringAReINVITE(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		p := newPeer(t, n, aliceAddr)
		p.calls(bobAddr, "call-1")
		time.Sleep(time.Second)
		for d := range bob.Dialogs() {
			go d.Session().Invite(t.Context(), nil) // ends with bob
		}
		in := p.expect("INVITE 1")
		_, sessions := again(t, n, bobAddr, keep(t, bob), &dialog.Config{OnInvite: accepting(t, nil)})
		ok := p.reply(in, 200, p.contact())
		for range 3 {
			p.expect("ACK 1")
			p.respond(in, ok)
		}
		p.expect("ACK 1")
		go func() {
			if _, err := sessions[0].Invite(t.Context(), nil); err != nil {
				t.Error(err)
			}
			if err := sessions[0].Ack(t.Context()); err != nil {
				t.Error(err)
			}
		}()
		in = p.expect("INVITE 2")
		p.reply(in, 200, p.contact())
		p.expect("ACK 2")
	})
}

// A re-INVITE of the peer is not answered when the program is started anew: the
// next one answers it.
func TestRestartBeforeAReINVITEIsAnswered(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if in.Re() {
				<-ctx.Done()
				return
			}
			in.Accept()
		}})
		p := newPeer(t, n, aliceAddr)
		resp := p.calls(bobAddr, "call-1")
		p.send(bobAddr, p.within(resp, sip.INVITE, 2, p.contact()))
		p.expect("100 INVITE 2")
		_, sessions := again(t, n, bobAddr, keep(t, bob), &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if !in.Re() || !in.Restored() {
				t.Errorf("Re() = %v, Restored() = %v, want both", in.Re(), in.Restored())
			}
			if err := in.Reject(sip.StatusNotAcceptableHere); err != nil {
				t.Error(err)
			}
		}})
		p.expect("488 INVITE 2")
		if err := sessions[0].Err(); err != nil {
			t.Errorf("Err() = %v, want a call that is up", err)
		}
	})
}

// Another node at another address takes the call over. Its re-INVITE tells the
// peer where the call is now, and so does its answer to one of the peer that a
// proxy has brought it.
func TestSecondNode(t *testing.T) {
	for _, test := range []struct {
		name string
		move func(p *peer, s *dialog.Session, resp sip.Message) sip.Message
	}{
		{"it changes the call", func(p *peer, s *dialog.Session, _ sip.Message) sip.Message {
			done := make(chan struct{})
			go func() {
				defer close(done)
				if _, err := s.Invite(p.t.Context(), nil); err != nil {
					p.t.Error(err)
				}
				s.Ack(p.t.Context())
			}()
			in := p.expect("INVITE 1")
			p.reply(in, 200, p.contact())
			p.expect("ACK 1")
			<-done
			return in.Message
		}},
		{"the peer changes it", func(p *peer, s *dialog.Session, resp sip.Message) sip.Message {
			p.send(carolAddr, p.within(resp, sip.INVITE, 2, p.contact()))
			ok := p.expect("200 INVITE 2").Message
			p.send(carolAddr, p.within(ok, sip.ACK, 2))
			return ok
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
				p := newPeer(t, n, aliceAddr)
				resp := p.calls(bobAddr, "call-1")
				time.Sleep(time.Second)
				kept := keep(t, bob)
				carol := newLayer(t, n, carolAddr, &dialog.Config{OnInvite: accepting(t, nil)})
				s, err := carol.Restore(kept[0])
				if err != nil {
					t.Fatal(err)
				}
				contact, err := sip.Get[sip.Contact](test.move(p, s.Session(), resp))
				if err != nil || contact.URI.Host != carolAddr || contact.URI.User != "bob" {
					t.Errorf("the Contact is %v, %v, want bob at %s", contact, err, carolAddr)
				}
				if _, err := carol.Restore(kept[0]); !errors.Is(err, dialog.ErrExists) {
					t.Errorf("Restore once more = %v, want %v", err, dialog.ErrExists)
				}
				p.send(carolAddr, p.within(resp, sip.BYE, 3))
				p.expect("200 BYE 3")
				if err := s.Session().Err(); !errors.Is(err, dialog.ErrBye) {
					t.Errorf("Err() = %v, want %v", err, dialog.ErrBye)
				}
				if _, err := s.Snapshot(); !errors.Is(err, dialog.ErrBye) {
					t.Errorf("Snapshot of a call that is over = %v, want %v", err, dialog.ErrBye)
				}
			})
		})
	}
}

// A Contact that the program gave itself stays what it is.
func TestRestoreKeepsAGivenContact(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		newLayer(t, n, bobAddr, &dialog.Config{OnInvite: accepting(t, nil)})
		alice := newLayer(t, n, aliceAddr, nil)
		given := sip.Contact{URI: sip.URI{Scheme: "sip", User: "alice", Host: aliceAddr, Params: ";gr=urn:uuid:1"}, Params: ";x=y"}
		call(t, alice, "sip:bob@"+bobAddr, "call-1", given)
		_, sessions := again(t, n, aliceAddr, keep(t, alice), nil)
		if _, err := sessions[0].Invite(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		sessions[0].Ack(t.Context())
		time.Sleep(time.Second)
		if got, err := sip.Get[sip.Contact](sent(n, aliceAddr, "INVITE 2")[0]); err != nil || got != given {
			t.Errorf("the Contact is %v, %v, want %v", got, err, given)
		}
	})
}

// What was restored is written down as what it was restored from.
func TestSnapshotOfTheRestored(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := newLayer(t, n, bobAddr, &dialog.Config{OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			switch in.Request().CallID() {
			case "rings":
				in.Provisional(183)
				<-ctx.Done()
			case "waits":
				<-ctx.Done()
			default:
				in.Accept()
			}
		}})
		p := newPeer(t, n, aliceAddr)
		for _, id := range []string{"up", "routed", "strict", "no-ack", "rings", "waits"} {
			var edits []sip.Edit
			switch id {
			case "routed":
				edits = append(edits, sip.Field{Name: "Record-Route", Value: `"Proxy" <sip:192.0.2.1;lr>;x="a,b", <sips:p2.example;lr>`})
			case "strict":
				edits = append(edits, sip.Field{Name: "Record-Route", Value: "<sip:192.0.2.1>"})
			}
			p.send(bobAddr, newInvite(t, "sip:bob@"+bobAddr, id, append(edits, p.contact())...))
			for id != "waits" {
				resp := (<-p.in).Message.(*sip.Response)
				if resp.CallID() != id {
					continue // that of no-ack again
				}
				if id != "no-ack" && resp.Status() == 200 {
					p.send(bobAddr, p.within(resp, sip.ACK, 1))
				}
				break
			}
		}
		time.Sleep(50 * time.Millisecond)
		before := map[string][]byte{}
		for s := range bob.Dialogs() {
			data, err := s.Snapshot()
			if err != nil {
				t.Fatal(err)
			}
			before[s.ID().CallID] = data
			t.Logf("%s: %d bytes", s.ID().CallID, len(data))
		}
		bob.Close()
		var kept [][]byte
		for _, data := range before {
			kept = append(kept, data)
		}
		wait := func(ctx context.Context, in *dialog.Invitation) { <-ctx.Done() }
		_, sessions := again(t, n, bobAddr, kept, &dialog.Config{OnInvite: wait})
		if len(sessions) != 6 {
			t.Errorf("%d calls are restored, want 6", len(sessions))
		}
		for _, s := range sessions {
			data, err := s.Snapshot()
			if err != nil || !bytes.Equal(data, before[s.ID().CallID]) {
				t.Errorf("%s: snapshot\n%q, %v, want\n%q", s.ID().CallID, data, err, before[s.ID().CallID])
			}
		}
	})
}
