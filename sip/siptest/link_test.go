package siptest

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
)

// transmit sends the numbers below count from alice to bob, one a millisecond
// apart, and returns them as they arrive.
func transmit(t *testing.T, config NetworkConfig, count int) (arrived []string, stats Stats) {
	t.Helper()
	play(t, &config, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		done := make(chan bool)
		go func() { // ends when b is closed
			defer close(done)
			for buf := make([]byte, 100); ; {
				n, _, err := b.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				arrived = append(arrived, string(buf[:n]))
			}
		}()
		for i := range count {
			s.send(a, fmt.Sprint(i), bobAddr)
			s.wait(time.Millisecond)
		}
		s.wait(time.Minute)
		b.Close()
		<-done
		stats = s.n.Stats()
	})
	return arrived, stats
}

func TestLossFollowsTheSeed(t *testing.T) {
	one, stats := transmit(t, NetworkConfig{Seed: 1, Loss: 0.1}, 2000)
	if stats.Lost < 150 || stats.Lost > 250 || int(stats.Lost) != 2000-len(one) {
		t.Errorf("%d of 2000 lost and %d arrived, want about 200 lost", stats.Lost, len(one))
	}
	if again, _ := transmit(t, NetworkConfig{Seed: 1, Loss: 0.1}, 2000); !slices.Equal(again, one) {
		t.Error("the same seed has other datagrams lost")
	}
	if delayed, _ := transmit(t, NetworkConfig{Seed: 1, Loss: 0.1, Delay: time.Second, Jitter: time.Second}, 2000); !slices.Equal(delayed, one) {
		t.Error("the same seed has other datagrams lost when they are delayed")
	}
	if two, _ := transmit(t, NetworkConfig{Seed: 2, Loss: 0.1}, 2000); slices.Equal(two, one) {
		t.Error("another seed has the same datagrams lost")
	}
	if none, _ := transmit(t, NetworkConfig{Loss: 1}, 20); len(none) > 0 {
		t.Errorf("Loss 1 let pass %v", none)
	}
}

// Goroutines that send on flows of their own get the same losses in whichever
// order they run.
func TestLossIsThatOfTheFlow(t *testing.T) {
	lost := func() (lost [5]string) {
		play(t, &NetworkConfig{Seed: 7, Loss: 0.5, Record: true}, func(s *scene) {
			var wg sync.WaitGroup
			for i := range lost {
				c := s.socket(s.alice, fmt.Sprintf(":%d", 5060+i))
				wg.Go(func() {
					for range 50 {
						s.send(c, "x", bobAddr)
					}
				})
			}
			wg.Wait()
			for _, p := range s.n.Packets() {
				lost[p.From.Port()-5060] += map[bool]string{true: "-", false: "x"}[p.Lost]
			}
		})
		return lost
	}
	one := lost()
	if two := lost(); two != one {
		t.Errorf("lost in the second run\n%q, want as in the first\n%q", two, one)
	}
	if one[0] == one[1] {
		t.Errorf("two flows lose the same: %v", one[0])
	}
}

func TestDelayIsExact(t *testing.T) {
	play(t, &NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		s.send(a, "1", bobAddr)
		s.wait(5 * time.Millisecond)
		s.send(a, "2", bobAddr)
		s.receive(b, "1")
		s.at(20 * time.Millisecond)
		s.receive(b, "2")
		s.at(25 * time.Millisecond)
	})
}

func TestJitterKeepsOrder(t *testing.T) {
	arrived, _ := transmit(t, NetworkConfig{Jitter: 100 * time.Millisecond}, 200)
	if len(arrived) != 200 {
		t.Fatalf("%d arrived, want 200", len(arrived))
	}
	for i, got := range arrived {
		if got != fmt.Sprint(i) {
			t.Fatalf("datagram %d is %v", i, got)
		}
	}
	play(t, &NetworkConfig{Delay: 10 * time.Millisecond, Jitter: 10 * time.Millisecond}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		seen := make(map[time.Duration]bool)
		for range 20 {
			sent := time.Now()
			s.send(a, "x", bobAddr)
			s.receive(b, "x")
			took := time.Since(sent)
			seen[took] = true
			if took < 10*time.Millisecond || took >= 20*time.Millisecond {
				t.Errorf("took %v, want 10 to 20 ms", took)
			}
		}
		if len(seen) < 10 {
			t.Errorf("%d delays among 20 datagrams, want them to vary", len(seen))
		}
	})
}

func TestDuplicate(t *testing.T) {
	arrived, stats := transmit(t, NetworkConfig{Duplicate: 0.2}, 1000)
	if d := stats.Duplicated; d < 150 || d > 250 || len(arrived) != 1000+int(d) {
		t.Errorf("%d of 1000 doubled and %d arrived, want about 200 doubled", d, len(arrived))
	}
	if all, _ := transmit(t, NetworkConfig{Duplicate: 1, Delay: time.Second}, 2); !slices.Equal(all, []string{"0", "0", "1", "1"}) {
		t.Errorf("arrived %v, want both twice", all)
	}
}

func TestReorder(t *testing.T) {
	arrived, _ := transmit(t, NetworkConfig{Reorder: 0.1, Delay: 5 * time.Millisecond}, 1000)
	if len(arrived) != 1000 {
		t.Fatalf("%d arrived, want 1000", len(arrived))
	}
	late := 0
	for i := 1; i < len(arrived); i++ {
		var last, this int
		fmt.Sscan(arrived[i-1], &last)
		fmt.Sscan(arrived[i], &this)
		if this < last {
			late++
		}
	}
	if late < 60 || late > 140 {
		t.Errorf("%d of 1000 were overtaken, want about 100", late)
	}
}

func TestSetLink(t *testing.T) {
	play(t, &NetworkConfig{Delay: 20 * time.Millisecond}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		s.n.SetLink(s.alice, s.bob, Link{Delay: time.Second})
		s.send(a, "there", bobAddr)
		s.receive(b, "there")
		s.at(time.Second)
		s.send(b, "back", aliceAddr)
		s.receive(a, "back")
		s.at(1020 * time.Millisecond)

		s.n.SetLink(s.alice, s.bob, Link{}) // a perfect one may be named too
		s.send(a, "there", bobAddr)
		s.receive(b, "there")
		s.send(a, "to itself", aliceAddr)
		s.receive(a, "to itself")
		s.at(1020 * time.Millisecond)
	})
}

// A slow link that becomes a fast one does not put the packets of a flow out of
// order.
func TestFasterLinkKeepsOrder(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		s.send(a, "1", bobAddr)
		s.n.SetLink(s.alice, s.bob, Link{Delay: time.Millisecond})
		s.send(a, "2", bobAddr)
		s.receive(b, "1")
		s.receive(b, "2")
		s.at(time.Second)
	})
}

func TestCutAndDown(t *testing.T) {
	play(t, &NetworkConfig{Delay: time.Second}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		for _, fault := range []struct{ begin, end func() }{
			{func() { s.n.Cut(s.bob, s.alice) }, func() { s.n.Mend(s.alice, s.bob) }},
			{s.alice.Down, s.alice.Up},
			{s.bob.Down, s.bob.Up},
		} {
			s.send(a, "in flight", bobAddr)
			fault.begin()
			s.send(a, "there", bobAddr)
			s.send(b, "back", aliceAddr)
			s.silence(b, 2*time.Second)
			s.silence(a, 2*time.Second)
			fault.end()
			s.send(a, "there", bobAddr)
			s.receive(b, "there")
			s.send(b, "back", aliceAddr)
			s.receive(a, "back")
		}
		if got, want := s.n.Stats(), (Stats{Sent: 15, Delivered: 6, Lost: 9}); got != want {
			t.Errorf("Stats() = %+v, want %+v", got, want)
		}
	})
}

func TestHostIsOneMachine(t *testing.T) {
	n := NewNetwork(nil)
	if n.Host("192.0.2.1") != n.Host("::ffff:192.0.2.1") {
		t.Error("an address has two hosts")
	}
	if got := n.Host("2001:db8::1").Addr().String(); got != "2001:db8::1" {
		t.Errorf("Addr() = %v", got)
	}
	for _, addr := range []string{"", "alice", "0.0.0.0", "::", "224.0.1.75"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("Host(%q) does not panic", addr)
				}
			}()
			n.Host(addr)
		}()
	}
}
