package registrar

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
)

// Many nodes change the bindings of one user at once. Each change that was
// confirmed is there in the end, and none that was refused (RFC 3261 section 10.3:
// processed completely or not at all).
func TestManyWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const writers, rounds = 24, 20
		store := NewMemory(nil)
		var wg sync.WaitGroup
		var lost atomic.Int32
		present := make([]bool, writers)
		for i := range writers {
			node := must(New(&Config{Store: store, MaxBindings: 2 * writers}))
			wg.Go(func() {
				for round := range rounds {
					a := &asked{key: "alice@example.com", callID: fmt.Sprint(i), seq: uint32(round + 1)}
					for part := range 2 { // two Contacts that come and go together
						c := sip.Contact{URI: sip.URI{Scheme: "sip", User: fmt.Sprint(i, part), Host: "192.0.2.1"}}
						a.contacts = append(a.contacts, wanted{contact: c, expires: time.Hour * time.Duration((round+i)%2)})
					}
					err := node.commit(t.Context(), a, time.Now(), fits)
					if err != nil {
						lost.Add(1)
					} else {
						present[i] = (round+i)%2 == 1
					}
				}
			})
		}
		wg.Wait()
		all, err := must(New(&Config{Store: store})).Bindings(t.Context(), uri(t, aliceAOR))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]int{}
		for _, b := range all {
			found[b.CallID]++
		}
		for i, want := range present {
			if got := found[fmt.Sprint(i)]; got != 0 && got != 2 || (got == 2) != want {
				t.Errorf("writer %d has %d bindings, want both: %v", i, got, want)
			}
		}
		if n := lost.Load(); n > writers*rounds/4 {
			t.Errorf("%d of %d changes were given up for others", n, writers*rounds)
		}
	})
}

// Watch tells of what any node has changed.
func TestWatch(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		other := must(New(&Config{Store: s.location.store}))
		var got []int
		var done sync.WaitGroup
		done.Go(func() { // ends when it has seen enough
			for list, err := range other.Watch(t.Context(), uri(t, "sip:%61lice@example.com:5060")) {
				if err != nil {
					t.Error(err)
					return
				}
				if got = append(got, len(list)); len(got) == 4 {
					return
				}
			}
		})
		s.phone.register(200, contact(numbered(1)))
		s.phone.register(200, contact(numbered(2)))
		s.phone.register(200, nil)
		s.phone.register(200, contact("*"), sip.Expires(0))
		done.Wait()
		if text := fmt.Sprint(got); text != "[0 1 2 0]" {
			t.Errorf("watched %s bindings, want [0 1 2 0]", text)
		}
		for _, err := range other.Watch(t.Context(), uri(t, "tel:+1")) {
			if err == nil {
				t.Error("Watch of a tel URI: no error")
			}
		}
	})
}

// fits is an answer that there is room for.
func fits([]Binding) error { return nil }
