package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// A head becomes longer on its way, by an identifier, a Byte-Range, white space. One that would be too long for
// those further on is refused by the first relay, and what that has taken arrives (RFC 4976 section 6.4.1): so
// nobody's head ends a connection between relays, which others share.
func TestWhatIsTakenCanBeForwarded(t *testing.T) {
	for name, c := range map[string]struct{ method, end string }{
		"a message":                {"SEND", "Content-Type:text/plain\n\nhello\n-------aaaa$\n"},
		"a message without a body": {"SEND", "-------aaaa$\n"},
		"another method":           {"PING", "-------aaaa$\n"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			w.relay("two.example.com", relay.Config{})
			w.relay("three.example.com", relay.Config{})
			alice, a := w.client("alice", example)
			path := alice.auth("alice", a+" msrp://two.example.com:2855;tcp")
			bob, b := w.client("bob", "three.example.com")
			head := "MSRP aaaa " + c.method + "\nTo-Path:" + path + " " + b + " " + bob.ours + "\nFrom-Path:" + alice.ours + "\nMessage-ID:m\nX:"
			end, _, _ := strings.Cut(c.end, "hello")
			passed, refused := 0, 0
			for size := 16<<10 - 500; size <= 16<<10; size++ {
				room := size - len(strings.ReplaceAll(head+"\n"+end, "\n", "\r\n"))
				alice.write(head + strings.Repeat("x", room) + "\n" + c.end)
				g, err := bob.tryRead(time.Second)
				if err == nil {
					bob.answer(g, frame.StatusOK)
				} else if !isTimeout(err) {
					t.Fatalf("%s, with a head of %d bytes: bob got %v", name, size, err)
				}
				switch status := alice.read().Status; {
				case err == nil && status == frame.StatusOK:
					passed++
				case err != nil && status == frame.StatusBadRequest:
					refused++
				default:
					t.Fatalf("%s, with a head of %d bytes: alice got %v, bob %v", name, size, status, err)
				}
			}
			if passed < 100 || refused == 0 {
				t.Errorf("%s: %d passed, %d were refused", name, passed, refused)
			}
		})
	}
}
