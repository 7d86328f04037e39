package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// bodiless returns a SEND without a body, which ends with a flag.
func bodiless(id, to, from, more, flag string) string {
	return "MSRP " + id + " SEND\nTo-Path: " + to + "\nFrom-Path: " + from + "\nMessage-ID: m\n" + more + "-------" + id + flag + "\n"
}

// A SEND without a body is passed on as it is. It may end as any SEND does: "#" is who gives a message up
// between two chunks (RFC 4975 section 7.1).
func TestBodilessSendKeepsItsFlag(t *testing.T) {
	for _, more := range []string{"", "Byte-Range: 6-5/100\n"} {
		for _, flag := range []string{"+", "#", "$"} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay(example, relay.Config{})
				alice, a := w.client("alice", example)
				bob, b := w.client("bob", example)
				alice.write(bodiless("aaaa", a+" "+b+" "+bob.ours, alice.ours, more, flag))
				alice.response("aaaa", frame.StatusOK)
				g := bob.read()
				if g.Method != frame.SEND || g.HasBody || string(g.flag) != flag || g.MessageID != "m" || (more == "") != (g.Range == frame.Range{}) {
					t.Errorf("bob got %+v and %c, want no body and %q", g.Head, g.flag, flag)
				}
				bob.answer(g, frame.StatusNoSession)
				if g := alice.read(); g.Report != frame.StatusNoSession || g.MessageID != "m" {
					t.Errorf("alice got %+v, want a REPORT of 481", g.Head)
				}
				alice.silent()
			})
		}
	}
}

// It does not overtake the chunks before it, of which it is the end, also where another message was given up in between.
func TestBodilessSendComesBehindItsChunks(t *testing.T) {
	for _, limit := range []int{0, 3000} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{MaxChunk: limit})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			to := a + " " + b + " " + bob.ours
			const size = 300_000
			go func() { // bob takes nothing meanwhile
				for _, message := range []string{"one", "two"} {
					alice.write("MSRP aaaa SEND\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\nMessage-ID: " + message +
						"\nFailure-Report: no\nByte-Range: 1-*/*\nContent-Type: text/plain\n\n" + strings.Repeat("x", size) + "\n-------aaaa+\n")
					alice.write("MSRP cccc SEND\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\nMessage-ID: other " + message +
						"\nFailure-Report: no\nByte-Range: 1-*/*\nContent-Type: text/plain\n\nhello\n-------cccc#\n")
					alice.write(strings.Replace(bodiless("bbbb", to, alice.ours, "Failure-Report: no\n", "#"), ": m\n", ": "+message+"\n", 1))
				}
			}()
			synctest.Wait()
			for _, message := range []string{"one", "two"} {
				for n := 0; ; {
					g := bob.read()
					if g.MessageID == "other "+message {
						continue
					}
					// The end of the chunk before may come by itself, with a body of nothing.
					if n += len(g.body); g.MessageID != message || !g.HasBody && n != size || g.HasBody && g.flag == frame.Aborted {
						t.Fatalf("after %d bytes of message %s bob got %+v", n, message, g.Head)
					}
					if g.flag == frame.Aborted {
						break
					}
				}
			}
			bob.silent()
		})
	}
}

// A receiver that goes, or cannot be reached, has it fail as a chunk does.
func TestBodilessSendForWhoIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		alice.write(bodiless("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Byte-Range: 6-5/100\n", "#"))
		alice.response("aaaa", frame.StatusOK)
		bob.read()
		bob.nc.Close()
		if g := alice.read(); g.Report != frame.StatusNoSession || g.Range != (frame.Range{Start: 6, End: 5, Total: 100}) {
			t.Errorf("alice got %+v, want a REPORT of 481", g.Head)
		}
		w.host("down").Down()
		alice.write(bodiless("bbbb", a+" msrp://down:2855/b;tcp", alice.ours, "", "$"))
		alice.response("bbbb", frame.StatusOK)
		if g := alice.read(); g.Report != frame.StatusTimeout {
			t.Errorf("alice got %+v, want a REPORT of 408", g.Head)
		}
		alice.silent()
	})
}

// Those that a receiver reads and never answers are not passed on any more when there are too many, and the sender hears of
// each that it has timed out, never that the session is gone. Those that are to have no answer are passed on all.
func TestBodilessSendsThatNobodyAnswers(t *testing.T) {
	for _, report := range []string{"yes", "no"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			come := 0
			go func() { // ends with the connection
				for {
					if _, err := bob.tryRead(time.Hour); err != nil {
						return
					}
					come++
				}
			}()
			const requests = 9000
			failed, done := 0, make(chan struct{})
			go func() { // ends when nothing comes
				defer close(done)
				for {
					g, err := alice.tryRead(time.Minute)
					if err != nil {
						return
					}
					if g.Method == frame.REPORT && g.Report == frame.StatusTimeout {
						failed++
					} else if g.Status != frame.StatusOK {
						t.Errorf("alice got %+v", g.Head)
					}
				}
			}()
			for range requests {
				alice.write(bodiless("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: "+report+"\n", "$"))
			}
			<-done
			synctest.Wait()
			switch report {
			case "yes":
				if come >= requests || failed < requests-come { // some REPORTs are lost
					t.Errorf("%d of %d have come, and %d have failed", come, requests, failed)
				}
			case "no":
				if failed != 0 || come != requests {
					t.Errorf("%d of %d have come, and %d have failed", come, requests, failed)
				}
			}
		})
	}
}

// Only a SEND is interrupted (RFC 4975 section 7.1): what else is not at its end goes nowhere, and is
// answered so.
func TestOtherMethodsAreNotInterrupted(t *testing.T) {
	for _, flag := range []string{"+", "#"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			to := a + " " + b + " " + bob.ours
			for _, method := range []string{"NICKNAME", "FUTURE"} {
				for _, body := range []string{"", "Content-Type: text/plain\n\nhi\n"} {
					alice.write("MSRP aaaa " + method + "\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\n" + body + "-------aaaa" + flag + "\n")
					alice.response("aaaa", frame.StatusBadRequest)
				}
			}
			alice.write("MSRP bbbb REPORT\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\nMessage-ID: 1\nStatus: 000 200 OK\n-------bbbb" + flag + "\n")
			alice.write("MSRP cccc AUTH\nTo-Path: msrp://" + example + ":2855;tcp\nFrom-Path: " + alice.ours + "\n-------cccc" + flag + "\n")
			alice.response("cccc", frame.StatusBadRequest)
			alice.silent()
			bob.silent()
		})
	}
}
