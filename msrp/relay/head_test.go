package relay_test

import (
	"slices"
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

// Chunks that come one behind the other may have the same head, and each goes on with its own.
func TestEachChunkHasItsOwnHead(t *testing.T) {
	for _, second := range []string{
		"Message-ID: m\nSuccess-Report: yes\nX: a\nContent-Type: a/b\n\nhi\n",
		"Message-ID: m\nFailure-Report: partial\nX: a\nContent-Type: a/b\n\nhi\n",
		"Message-ID: n\nX: a\nContent-Type: a/b\n\nhi\n",
		"Message-ID: m\nX: b\nContent-Type: a/b\n\nhi\n",
		"Message-ID: m\nY: a\nContent-Type: a/b\n\nhi\n",
		"Message-ID: m\nX: a\nX: a\nContent-Type: a/b\n\nhi\n",
		"Message-ID: m\nX: a\nContent-Type: a/c\n\nhi\n",
		"Message-ID: m\nX: a\nContent-Type: a/b\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			paths := "To-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours + "\n"
			for _, rest := range []string{"Message-ID: m\nX: a\nContent-Type: a/b\n\nhi\n", second} {
				text := strings.ReplaceAll("MSRP aaaa SEND\n"+paths+rest+"-------aaaa$\n", "\n", "\r\n")
				want, _, _, err := frame.Parse([]byte(text))
				if err != nil || want.Err != nil {
					t.Fatal(err, want.Err)
				}
				if !want.HasBody {
					want.ContentType = "" // of nothing
				}
				alice.writeRaw(text)
				got := bob.read()
				if got.MessageID != want.MessageID || got.ContentType != want.ContentType || got.HasBody != want.HasBody || got.SuccessReport != want.SuccessReport ||
					got.FailureReport != want.FailureReport || !slices.Equal(got.Fields, want.Fields) {
					t.Errorf("bob got %+v, want what is in %q", got.Head, rest)
				}
			}
		})
	}
}

// What fails is told to who has sent it, from the URI that they have sent it to, though the chunk before had all but these in
// its head.
func TestFailureOfEachChunkHasItsOwnPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, one := w.client("alice", example)
		two := alice.auth("alice", "msrp://"+example+";tcp")
		bob, b := w.client("bob", example)
		other := strings.Replace(alice.ours, "alice1", "alice2", 1)
		for i, c := range []struct{ to, from string }{{one, alice.ours}, {two, alice.ours}, {two, other}, {one, other}} {
			paths := "To-Path: " + c.to + " " + b + " " + bob.ours + "\nFrom-Path: " + c.from + "\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: a/b\n\n"
			alice.write("MSRP open SEND\n" + paths + "hello") // fails before its end is there
			h, err := bob.in.Next()
			if err != nil {
				t.Fatal(err)
			}
			bob.answer(got{Head: h.Clone()}, frame.StatusStop)
			if g := alice.response("open", frame.StatusStop); g.To != c.from || g.From != c.to {
				t.Errorf("response %d is to %s from %s, want %s and %s", i, g.To, g.From, c.from, c.to)
			}
			alice.write("\n-------open#\n")
			for err == nil {
				_, err = bob.in.Body()
			}
			alice.write("MSRP whole SEND\n" + paths + "hello\n-------whole+\n") // and then
			alice.response("whole", frame.StatusOK)
			bob.answer(bob.read(), frame.StatusStop)
			if g := alice.read(); g.Report != frame.StatusStop || g.To != c.from || g.From != c.to {
				t.Errorf("REPORT %d is %+v, want it to %s from %s", i, g.Head, c.from, c.to)
			}
		}
	})
}
