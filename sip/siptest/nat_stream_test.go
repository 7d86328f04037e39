package siptest

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestStreamThroughNAT(t *testing.T) {
	for _, kind := range natKinds {
		t.Run(kind.name, func(t *testing.T) {
			playHome(t, &NetworkConfig{Delay: 10 * time.Millisecond, Record: true}, &kind.config, func(h *home) {
				near, far := h.dial(bobAddr)
				if got, want := far.RemoteAddr().String(), "203.0.113.1:49152"; got != want {
					t.Errorf("bob is connected with %v, want %v", got, want)
				}
				if got, want := near.LocalAddr().String(), "10.0.0.2:49152"; got != want {
					t.Errorf("the phone is at %v, want %v", got, want)
				}
				h.write(near, "REGISTER")
				h.read(far, "REGISTER")
				h.wait(2 * time.Hour) // shorter than its time to be idle
				h.write(far, "INVITE")
				h.read(near, "INVITE")
				h.packets(
					"203.0.113.1:49152 (10.0.0.2:49152) to 192.0.2.2:5060: REGISTER",
					"192.0.2.2:5060 to 203.0.113.1:49152: INVITE",
				)
				far.Close()
				h.ends(near, io.EOF)

				_, err := h.phone.DialContext(h.Context(), "tcp", aliceAddr)
				h.opError(err, syscall.ECONNREFUSED)
			})
		})
	}
}

// A connection that was silent for too long is gone, and neither end is told.
// What is written goes nowhere until the window is full.
func TestIdleStreamIsForgotten(t *testing.T) {
	playHome(t, &NetworkConfig{Record: true, Window: 20}, &NATConfig{IdleTimeout: 2 * time.Minute}, func(h *home) {
		near, far := h.dial(bobAddr)
		for range 3 { // either end keeps it
			h.wait(2*time.Minute - 1)
			h.write(near, "ping")
			h.read(far, "ping")
			h.wait(2*time.Minute - 1)
			h.write(far, "pong")
			h.read(near, "pong")
		}
		h.wait(2 * time.Minute)
		h.write(near, "ping")
		h.write(far, "INVITE")
		for _, c := range []*conn{near, far} {
			c.SetReadDeadline(time.Now().Add(10 * time.Second))
			if n, err := c.Read(make([]byte, 10)); n != 0 || !isTimeout(err) {
				t.Errorf("read %d, %v, want nothing", n, err)
			}
		}
		near.SetWriteDeadline(time.Now().Add(time.Minute))
		if n, err := io.WriteString(near, strings.Repeat("x", 20)); n != 16 || !isTimeout(err) {
			t.Errorf("wrote %d, %v, want as much as the window has", n, err)
		}
		lost := 0
		for _, p := range h.n.Packets() {
			if p.Lost {
				lost++
			}
		}
		if lost != 2 {
			t.Errorf("%d lost on record, want both writes of the phone", lost)
		}

		// A close is not heard of either, and a new connection is a new start.
		near.Close()
		far.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := far.Read(make([]byte, 10)); n != 0 || !isTimeout(err) {
			t.Errorf("read %d, %v, want nothing", n, err)
		}
		near, far = h.dial(bobAddr)
		h.write(near, "again")
		h.read(far, "again")
	})
}

func TestRebootStallsStreams(t *testing.T) {
	playHome(t, &NetworkConfig{Delay: time.Second}, nil, func(h *home) {
		near, far := h.dial(bobAddr)
		h.write(near, "has left")
		h.write(far, "on its way")
		h.nat.Reboot()
		h.read(far, "has left")
		for _, c := range []*conn{near, far} {
			c.SetReadDeadline(time.Now().Add(time.Minute))
			if n, err := c.Read(make([]byte, 10)); n != 0 || !isTimeout(err) {
				t.Errorf("read %d, %v, want nothing", n, err)
			}
		}
		near, far = h.dial("192.0.2.2:5070")
		h.write(near, "new")
		h.read(far, "new")
	})
}

// A phone that is closed with something unread says so, to a box that does not
// know of what.
func TestForgottenStreamIsNotReset(t *testing.T) {
	playHome(t, nil, nil, func(h *home) {
		near, far := h.dial(bobAddr)
		h.write(far, "unread")
		h.nat.Reboot()
		near.Close()
		h.wait(time.Second)
		h.write(far, "to nobody")
	})
}

// A SYN that is sent again, until the cable is back, is translated.
func TestDialBehindNATWhileDown(t *testing.T) {
	playHome(t, nil, nil, func(h *home) {
		h.phone.Down()
		time.AfterFunc(3*time.Second, h.phone.Up)
		_, far := h.dial(bobAddr)
		if got, want := far.RemoteAddr().String(), "203.0.113.1:49152"; got != want {
			t.Errorf("bob is connected with %v, want %v", got, want)
		}
		h.at(3 * time.Second)
	})
}

// The phone's stack comes back to a port that it had.
func TestPortUsedAgainThroughNAT(t *testing.T) {
	playHome(t, nil, nil, func(h *home) {
		near, _ := h.dial(bobAddr)
		near.Close()
		h.phone.next = near.local.Port()
		near, far := h.dial(bobAddr)
		if got, want := far.RemoteAddr().String(), "203.0.113.1:49152"; got != want {
			t.Errorf("bob is connected with %v, want %v", got, want)
		}
		h.write(near, "x")
		h.read(far, "x")
		if got := len(h.nat.bindings); got != 1 {
			t.Errorf("%d bindings, want 1", got)
		}
	})
}
