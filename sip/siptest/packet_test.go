package siptest

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// The 200 is lost the first time and comes through the second, which is how a
// test of retransmission begins.
func TestFilterLosesTheFirst200(t *testing.T) {
	play(t, &NetworkConfig{Delay: 10 * time.Millisecond, Record: true}, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		lost := 0
		s.n.SetFilter(func(p Packet) Verdict {
			if bytes.HasPrefix(p.Data, []byte("SIP/2.0 200")) && lost == 0 {
				lost++
				return Verdict{Drop: true}
			}
			return Verdict{}
		})
		s.send(a, "INVITE sip:bob@example.com SIP/2.0", bobAddr)
		s.receive(b, "INVITE sip:bob@example.com SIP/2.0")
		s.send(b, "SIP/2.0 180 Ringing", aliceAddr)
		s.send(b, "SIP/2.0 200 OK", aliceAddr)
		s.wait(500 * time.Millisecond)
		s.send(b, "SIP/2.0 200 OK", aliceAddr)
		s.receive(a, "SIP/2.0 180 Ringing")
		s.receive(a, "SIP/2.0 200 OK")
		s.at(520 * time.Millisecond)

		want := []struct {
			at   time.Duration
			lost bool
		}{{0, false}, {10 * time.Millisecond, false}, {10 * time.Millisecond, true}, {510 * time.Millisecond, false}}
		got := s.n.Packets()
		if len(got) != len(want) {
			t.Fatalf("%d packets on record, want %d", len(got), len(want))
		}
		for i, p := range got {
			if p.Time.Sub(s.began) != want[i].at || p.Lost != want[i].lost || p.Network != "udp" {
				t.Errorf("packet %d: %s at %v, lost %v, want udp at %v, lost %v", i, p.Network, p.Time.Sub(s.began), p.Lost, want[i].at, want[i].lost)
			}
		}
		if p := got[1]; p.From.String() != bobAddr || p.To.String() != aliceAddr || string(p.Data) != "SIP/2.0 180 Ringing" {
			t.Errorf("packet 1: %v to %v: %q", p.From, p.To, p.Data)
		}
	})
}

func TestFilterDelaysAndDoubles(t *testing.T) {
	play(t, nil, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		s.n.SetFilter(func(p Packet) Verdict {
			switch string(p.Data) {
			case "late":
				return Verdict{Delay: time.Second}
			case "thrice":
				return Verdict{Duplicate: 2}
			}
			return Verdict{}
		})
		s.send(a, "late", bobAddr)
		s.send(a, "thrice", bobAddr)
		for range 3 {
			s.receive(b, "thrice")
		}
		s.at(0)
		s.receive(b, "late")
		s.at(time.Second)

		s.n.SetFilter(nil)
		s.send(a, "late", bobAddr)
		s.receive(b, "late")
		s.at(time.Second)
		if got := s.n.Packets(); len(got) != 0 {
			t.Errorf("%d packets on record, want none without Record", len(got))
		}
	})
}

// What follows on a stream waits behind a late piece; dropping does nothing.
func TestFilterOnAStream(t *testing.T) {
	play(t, &NetworkConfig{Record: true}, func(s *scene) {
		near, far := s.connect()
		s.n.SetFilter(func(p Packet) Verdict {
			if p.Network == "tcp" && string(p.Data) == "late" {
				return Verdict{Delay: time.Second, Drop: true}
			}
			return Verdict{Drop: true}
		})
		s.write(near, "now")
		s.read(far, "now")
		s.at(0)
		s.write(near, "late")
		s.write(near, " next")
		s.wait(time.Second)
		s.read(far, "late next")
		s.at(time.Second)
		if got := s.n.Packets(); len(got) != 3 || string(got[2].Data) != " next" || got[2].Network != "tcp" || got[2].To.String() != bobAddr {
			t.Errorf("on record: %v, want three pieces of the stream", got)
		}
	})
}

// A filter that ends its goroutine, as t.Fatal does, leaves the network usable.
func TestFilterThatDoesNotReturn(t *testing.T) {
	play(t, nil, func(s *scene) {
		a, b := s.socket(s.alice, aliceAddr), s.socket(s.bob, bobAddr)
		near, far := s.connect()
		s.n.SetFilter(func(Packet) Verdict { panic("a mistake in the test") })
		for _, send := range []func(){func() { s.send(a, "x", bobAddr) }, func() { s.write(near, "x") }} {
			func() {
				defer func() { recover() }()
				send()
				t.Error("the filter returned")
			}()
		}
		// It may change the filter, and have a goroutine send.
		sent := make(chan struct{})
		s.n.SetFilter(func(Packet) Verdict {
			s.n.SetFilter(nil)
			go func() { // ends when x is sent, so that it comes second
				<-sent
				a.WriteTo([]byte("from the filter"), b.LocalAddr())
			}()
			return Verdict{}
		})
		s.send(a, "x", bobAddr)
		close(sent)
		synctest.Wait()
		s.receive(b, "x")
		s.receive(b, "from the filter")
		s.write(near, "x")
		s.read(far, "x")
	})
}
