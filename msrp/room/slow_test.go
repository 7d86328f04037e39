package room_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/room"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/simple/cpim"
)

// Who is slow holds nobody up, misses what is oldest, and is told so (RFC 7701 section 6.4).
func TestSlowParticipantMissesTheOldest(t *testing.T) {
	inHouse(t, &room.Config{MaxQueue: 10}, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		slow := h.raw(h.join(carol, wish{deaf: true}))
		big := strings.Repeat("x", 40_000)
		begin := time.Now()
		for i := range 40 {
			if err := a.says(fmt.Sprint(i, big)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait() // bob reads at once
		}
		if heard := len(b.heard()); time.Since(begin) != 0 || heard != 40 {
			t.Errorf("bob has heard %d of 40 messages, after %v", heard, time.Since(begin))
		}
		var got []string
		for len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "Your") {
			if h, body := slow.next(); h.Method == "SEND" {
				env, err := cpim.Parse([]byte(body))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, strings.TrimSuffix(string(env.Content), big))
			}
			synctest.Wait()
		}
		// The last ten, and what was under way before.
		n := len(got) - 1
		if n < 11 || got[0] != "0" || got[n-10] != "30" || got[n-1] != "39" {
			t.Errorf("carol got %q", got)
		}
		if want := fmt.Sprintf("Your connection is too slow: %d messages were left out.", 40-n); got[n] != want {
			t.Errorf("carol is told %q, want %q", got[n], want)
		}
		if err := a.says("and on"); err != nil {
			t.Fatal(err)
		}
		if _, body := slow.next(); !strings.HasSuffix(body, "and on") {
			t.Errorf("carol got %.100q", body)
		}
	})
}

// What waits for somebody has a megabyte at most, however few messages that is: of those that are
// too many by their bytes the oldest go, too.
func TestWhatWaitsIsBoundedByBytes(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		b.Session.Close()
		synctest.Wait()
		const n, size = 20, 60_000
		for i := range n {
			if err := a.says(fmt.Sprintf("%02d", i) + strings.Repeat("x", size)); err != nil {
				t.Fatal(err)
			}
		}
		p := h.raw(b)
		kept := (1 << 20) / (size + len(envelope(alice, "00", uri)))
		for i := n - kept; i < n; i++ {
			if _, body := p.next(); !strings.Contains(body, fmt.Sprintf("\r\n\r\n%02dx", i)) {
				t.Fatalf("bob got %.200q, want message %d", body, i)
			}
		}
		if _, body := p.next(); !strings.Contains(body, fmt.Sprintf(": %d messages were left out", n-kept)) {
			t.Errorf("bob got %.200q, want to be told of %d", body, n-kept)
		}
	})
}

// Who takes nothing is expelled: the connection ends after 30 s, and there is half a minute to make
// another one.
func TestWhoTakesNothingIsExpelled(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{deaf: true})
		b.host.Down()
		begin := time.Now()
		for i := range 10 {
			if err := a.says(strings.Repeat("x", 60_000)); err != nil {
				t.Fatal(i, err)
			}
		}
		<-b.p.Done()
		if took := time.Since(begin); !errors.Is(b.p.Err(), msrp.ErrLost) || took < time.Minute || took > 2*time.Minute {
			t.Errorf("bob is ended with %v after %v", b.p.Err(), took)
		}
		if got := show(h.r.Roster()); got != "sip:alice@example.com (, , 1)\n" {
			t.Errorf("bob is still there: %s", got)
		}
	})
}

// Who loses their connection and comes back by another offer has missed nothing that was written
// meanwhile (RFC 4975 section 5.4).
func TestLostConnectionComesBack(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		b.Session.Close()
		synctest.Wait()
		if err := a.says("are you there?"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(31 * time.Second)
		if err := a.says("hello?"); err != nil {
			t.Fatal(err)
		}
		p := h.raw(b)
		for _, want := range []string{"are you there?", "hello?"} {
			if _, body := p.next(); !strings.HasSuffix(body, want) {
				t.Errorf("bob got %q, want %q", body, want)
			}
		}
		time.Sleep(time.Hour)
		if got := p.send("message/cpim", envelope(bob, "back again", uri)); got != 200 {
			t.Errorf("bob's message is answered with %d", got)
		}
		a.hears("bob@example.com> back again")
	})
}

// Whose network changes misses nothing of what waits: for the connection before, from which nothing is read any more, or
// for the other one, when the first is lost (RFC 4975 section 5.4).
func TestParticipantMoves(t *testing.T) {
	for _, c := range []struct {
		name              string
		before, meanwhile int  // messages
		lost              bool // the connection before, in between
		waited            int  // of the messages for the other one, at least
	}{
		{"slow", 10, 0, false, 5},
		{"slow, and more meanwhile", 10, 2, false, 7},
		{"slow, and lost", 10, 2, true, 7},
		{"lost", 0, 2, true, 2},
		{"nothing waits", 0, 0, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			inHouse(t, nil, func(t *testing.T, h *house) {
				a, b := h.join(alice, wish{}), h.join(bob, wish{deaf: true})
				old := h.raw(b) // who reads nothing
				n := 0
				says := func(more int) {
					t.Helper()
					for range more {
						n++
						if err := a.says(fmt.Sprint(n, ":", strings.Repeat("x", 40_000))); err != nil {
							t.Fatal(err)
						}
						synctest.Wait()
					}
				}
				says(c.before)
				p := h.moves(b)
				if c.lost {
					old.conn.Close()
					synctest.Wait()
				}
				says(c.meanwhile)
				p.connects(b)
				synctest.Wait()
				says(1)
				p.conn.SetReadDeadline(time.Now().Add(time.Minute))
				var got []string
				for last := fmt.Sprint(n, ":"); len(got) == 0 || got[len(got)-1] != last; {
					_, body := p.next()
					_, text, _ := strings.Cut(body, "text/plain\r\n\r\n")
					got = append(got, strings.TrimRight(text, "x"))
				}
				var want []string
				for i := n - max(c.waited, len(got)-1); i <= n; i++ {
					want = append(want, fmt.Sprint(i, ":"))
				}
				if !slices.Equal(got, want) {
					t.Errorf("bob gets %q, want %q", got, want)
				}
			})
		})
	}
}

// Who never connects is not kept waiting for.
func TestNoConnection(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		begin := time.Now()
		p, err := h.r.Join(addr(bob))
		if err != nil {
			t.Fatal(err)
		}
		b := &guest{p: p, t: t}
		b.Session = msrp.NewSession(h.endpoint(h.n.Host("192.0.2.99")), &msrp.SessionConfig{AcceptTypes: []string{"message/cpim"}})
		if b.own, err = b.Offer(t.Context()); err != nil {
			t.Fatal(err)
		}
		answer, err := p.Answer(t.Context(), b.own)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Update(t.Context(), answer, b.own); err != nil {
			t.Fatal(err)
		}
		<-p.Done()
		if took := time.Since(begin); !errors.Is(p.Err(), msrp.ErrLost) || took != 32*time.Second {
			t.Errorf("ended with %v after %v", p.Err(), took)
		}
	})
}

// What is written before the connection is there comes when it is.
func TestMessagesWaitForTheConnection(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a := h.join(alice, wish{})
		p, err := h.r.Join(addr(bob))
		if err != nil {
			t.Fatal(err)
		}
		b := &guest{p: p, t: t, uri: bob}
		b.Session = msrp.NewSession(h.endpoint(h.n.Host("192.0.2.99")), &msrp.SessionConfig{AcceptTypes: []string{"message/cpim"}})
		if b.own, err = b.Offer(t.Context()); err != nil {
			t.Fatal(err)
		}
		answer, err := p.Answer(t.Context(), b.own)
		if err == nil {
			err = p.Update(t.Context(), answer, b.own)
		}
		if err == nil {
			err = errors.Join(a.says("one"), a.says("two"))
		}
		if err == nil {
			err = b.Update(t.Context(), b.own, answer)
		}
		if err != nil {
			t.Fatal(err)
		}
		go b.listen()
		if got := b.heard(); len(got) != 3 || !strings.HasSuffix(got[1], "one") || !strings.HasSuffix(got[2], "two") {
			t.Errorf("bob heard %q", got) // the greeting is the first
		}
	})
}

// A participant who holds the chat gets nothing meanwhile, and is not expelled for that.
func TestHeldParticipant(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		hold := func(d sdp.Direction) {
			t.Helper()
			answer, err := b.p.Answer(t.Context(), b.own)
			if err == nil {
				answer.Direction = d
				err = b.p.Update(t.Context(), answer, b.own)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		hold(sdp.RecvOnly)
		if err := a.says("hello"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		hold(sdp.SendRecv)
		if err := a.says("again"); err != nil {
			t.Fatal(err)
		}
		b.hears("alice@example.com> again")
	})
}
