package dialog_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
)

// FuzzPeer has a peer say anything in any order, in a call that it places and one that
// it is called in, while the program does what it can do. Whatever that is, nothing
// panics, both calls end, and after two hours
// nothing is left.
func FuzzPeer(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7})
	f.Add([]byte("a call that rings, is answered, changed and ended"))
	f.Add([]byte{9, 42, 10, 80, 33, 33, 7, 200, 201, 202, 11, 11, 64})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 40 {
			return
		}
		synctest.Test(t, func(t *testing.T) { playPeer(t, script) })
	})
}

func playPeer(t *testing.T, script []byte) {
	n := siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond})
	turn := 0
	next := func() byte { // what follows, 0 at the end
		if turn >= len(script) {
			return 0
		}
		turn++
		return script[turn-1]
	}
	alice := newLayer(t, n, aliceAddr, &dialog.Config{
		OnInvite: func(ctx context.Context, in *dialog.Invitation) {
			if !in.Re() && len(script)%3 == 0 {
				in.Reliable(sip.StatusSessionProgress, session)
			}
			in.Provisional(sip.StatusRinging)
			time.Sleep(time.Duration(len(script)) * 100 * time.Millisecond)
			if len(script)%5 == 0 {
				return
			}
			in.Accept(session)
		},
		OnRequest: func(tx *dialog.Server, req *sip.Request) {
			switch req.CSeq().Seq % 7 {
			case 0:
			case 1:
				tx.Reply(sip.StatusNotAcceptableHere)
			case 2:
				_, release := tx.Hold()
				time.AfterFunc(time.Second, func() { tx.Reply(sip.StatusOK); release() })
			default:
				tx.Accept(sip.StatusAccepted, sip.Expires(60))
			}
		},
		SessionTimer: &dialog.SessionTimer{},
		Transaction:  transaction.Config{Logger: discard},
	})
	p := newPeer(t, n, bobAddr)
	ctx, cancel := context.WithCancel(t.Context())
	var invite, called sip.Message // of ours, and the last answer to its own
	call := newInvite(t, "sip:bob@"+bobAddr, "1", session, timers, sip.Supported{sip.Option100rel})
	over := make(chan bool)
	go func() { // ends with ctx
		defer close(over)
		s, _, err := alice.Invite(ctx, call, func(s *dialog.Session, resp *sip.Response) {
			if s != nil {
				go s.Do(ctx, sip.PRACK, session) // ends with ctx
				go s.Do(ctx, sip.UPDATE, session)
			}
		})
		if err != nil || s == nil {
			return
		}
		s.Ack(ctx)
		s.Do(ctx, sip.REFER, referTo("sip:carol@c.example"))
		s.Invite(ctx, nil, session)
		s.Ack(ctx)
		<-ctx.Done()
		s.Bye(t.Context())
	}()
	methods := []sip.Method{sip.PRACK, sip.UPDATE, sip.INFO, sip.INVITE, sip.ACK, sip.REFER, sip.NOTIFY, sip.SUBSCRIBE, sip.BYE, sip.OPTIONS}
	statuses := []sip.Status{180, 183, 199, 200, 202, 404, 408, 422, 481, 486, 491, 500}
	p.send(aliceAddr, newInvite(t, "sip:alice@"+aliceAddr, "2", p.contact(), session, timers, sip.Supported{sip.Option100rel}))
	seq := uint32(1)
	for turn < len(script) {
		time.Sleep(time.Duration(next()%40) * 50 * time.Millisecond)
		for len(p.in) > 0 {
			in := <-p.in
			switch m := in.Message.(type) {
			case *sip.Request:
				if m.Method() == sip.INVITE && m.CallID() == "1" {
					invite = m
				}
				// It is answered by the script, or not at all.
				if b := next(); m.Method() != sip.ACK && b%4 != 0 {
					var edits []sip.Edit
					if b%8 > 3 {
						edits = reliably(1 + int(b%5))
					}
					p.reply(in, statuses[int(b)%len(statuses)], append(edits, tagged(m, fmt.Sprint("tag", b%3)), p.contact(), session,
						expires("90"), sip.MinSE(uint32(b)*10))...)
				}
			case *sip.Response:
				if m.CallID() == "2" && m.CSeq().Method == sip.INVITE && m.Status() < 300 {
					called = m
				}
			}
		}
		b := next()
		method := methods[int(b)%len(methods)]
		edits := []sip.Edit{p.contact(), event("refer"), state("active"), referTo("sip:x@x.example"), expires(fmt.Sprint(b)), timers,
			sip.RAck{RSeq: sip.RSeq(b) + 1, CSeq: sip.CSeq{Seq: 1, Method: sip.INVITE}}}
		if b%2 == 0 {
			edits = append(edits, session)
		}
		if b%16 != 0 {
			seq++
		}
		switch {
		case b%3 == 0 && invite != nil:
			p.send(aliceAddr, p.back(invite, tagged(invite, fmt.Sprint("tag", b%3)), method, seq, edits...))
		case called != nil:
			p.send(aliceAddr, p.within(called, method, seq, edits...))
		}
	}
	cancel()
	for d := range alice.Dialogs() {
		if s := d.Session(); s != nil {
			go s.Bye(t.Context()) // ends with the answer, or without one
		}
	}
	time.Sleep(2 * time.Hour)
	<-over
	for d := range alice.Dialogs() {
		t.Errorf("%v is left, a call: %v", d.ID(), d.Session() != nil)
	}
	if dialogs, invites := alice.Left(); dialogs+invites+alice.Asking() != 0 {
		t.Errorf("%d dialogs, %d INVITEs and %d SUBSCRIBEs are left", dialogs, invites, alice.Asking())
	}
}
