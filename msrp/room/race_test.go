package room_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/room"
)

// People come and go, rename themselves and are expelled while others write. Who stays gets every
// message once and all in the same order.
func TestComingAndGoing(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		a, b := h.join(alice, wish{}), h.join(bob, wish{})
		watchers := []*guest{h.join(carol, wish{}), h.join("sip:dave@example.com", wish{})}
		nicks := []*peer{h.raw(h.join("sip:erin@example.com", wish{deaf: true})), h.raw(h.join("sip:frank@example.com", wish{deaf: true}))}
		guests := make([]*guest, 20)
		for i := range guests {
			guests[i] = h.join(fmt.Sprintf("sip:guest%d@example.com", i%7), wish{})
		}
		var all sync.WaitGroup
		for _, g := range []*guest{a, b} {
			all.Go(func() {
				for i := range 50 {
					if err := g.says(fmt.Sprint(i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		for i, g := range guests {
			all.Go(func() {
				switch i % 3 {
				case 0:
					g.p.Close()
				case 1:
					h.r.Expel(addr(g.uri).URI)
				case 2:
					g.Session.Close()
				}
			})
		}
		for _, p := range nicks {
			all.Go(func() {
				for i := range 50 {
					if got := p.nick(fmt.Sprintf(`Use-Nickname: "%d"`, i%5)); got != 200 && got != 425 {
						t.Errorf("NICKNAME is answered with %d", got)
					}
				}
			})
		}
		all.Go(func() {
			for range 20 {
				p, err := h.r.Join(addr("sip:late@example.com"))
				if err != nil {
					t.Error(err)
				}
				p.Close()
				h.r.Roster()
			}
		})
		all.Wait()
		first, second := watchers[0].heard(), watchers[1].heard()
		if len(first) != 100 || strings.Join(first, " ") != strings.Join(second, " ") {
			t.Errorf("carol heard %d messages, dave %d, in the same order: %v", len(first), len(second), strings.Join(first, " ") == strings.Join(second, " "))
		}
		time.Sleep(time.Hour) // who has hung up without a word has gone, too
		if got := len(h.r.Roster().Users); got != 6 {
			t.Errorf("%d users are there, want 6:\n%s", got, show(h.r.Roster()))
		}
	})
}

// A room that is closed while people join has nobody in it afterwards.
func TestCloseWhileJoining(t *testing.T) {
	inHouse(t, nil, func(t *testing.T, h *house) {
		var all sync.WaitGroup
		var mu sync.Mutex
		var joined []*room.Participant
		offer := h.join(alice, wish{}).own
		for i := range 20 {
			all.Go(func() {
				p, err := h.r.Join(addr(fmt.Sprintf("sip:guest%d@example.com", i)))
				if err != nil {
					return
				}
				mu.Lock()
				joined = append(joined, p)
				mu.Unlock()
				if answer, err := p.Answer(t.Context(), offer); err == nil {
					p.Update(t.Context(), answer, offer)
				}
			})
		}
		all.Go(func() { h.r.Close() })
		all.Wait()
		for _, p := range joined {
			<-p.Done()
		}
		synctest.Wait()
		if got := len(h.r.Roster().Users); got != 0 {
			t.Errorf("%d users are there", got)
		}
	})
}
