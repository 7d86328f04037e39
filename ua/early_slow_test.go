package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// A stream that takes its time over early media keeps neither the ACK of the answer back,
// nor Invite when its context ends.
func TestSlowEarlyMedia(t *testing.T) {
	slow := func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Hour):
			return nil
		}
	}
	for _, test := range []struct {
		name              string
		noOffer, reliable bool
	}{
		{"unreliable answer", false, false},
		{"reliable answer", false, true},
		{"reliable offer", true, true},
	} {
		for _, end := range []string{"answered", "given up", "hung up"} {
			if test.noOffer && end == "answered" {
				continue // the PRACK comes first
			}
			t.Run(test.name+", "+end, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(nil)
					b := newBank(t, n, func(b *bank) {
						say := b.say
						if test.reliable {
							say = b.sayReliably
						}
						say("one", 183, b.audio(5001))
						if end == "answered" {
							time.Sleep(time.Second)
							b.say("one", 200, b.audio(5001))
						}
						<-b.tx.Context().Done()
					})
					alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
					s := newStream(t)
					first := true
					once := func(ctx context.Context) error {
						if !first {
							return nil
						}
						first = false
						return slow(ctx)
					}
					s.onUpdate = once
					if test.noOffer {
						s.onAnswer = once
					}
					opts := streams(s)
					opts.NoOffer = test.noOffer
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					switch end {
					case "given up":
						time.AfterFunc(time.Second, cancel)
					case "hung up":
						time.AfterFunc(time.Second, func() { alice.Close() })
					}
					start := time.Now()
					call, err := alice.Invite(ctx, bobURI, opts)
					if took := time.Since(start); took != time.Second || (err == nil) != (end == "answered") {
						t.Errorf("Invite() = %v after %v, want 1s", err, took)
					}
					s.told()
					s.check(t, "caller", "", err != nil)
					if err == nil {
						b.heard()
						call.Hangup(t.Context())
					}
				})
			})
		}
	}
}

// A stream that takes its time over the answer: Invite returns when its context ends, and
// the call with it.
func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		b := newBank(t, n, func(b *bank) { b.say("one", 200, b.audio(5001)) })
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		s.onUpdate = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := alice.Invite(ctx, bobURI, streams(s))
		if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
			t.Errorf("Invite() = %v after %v, want the error of the context after 1s", err, took)
		}
		s.check(t, "caller", "sendrecv 192.0.2.2:5001", true)
		if got, want := b.heard(), "ACK one, BYE one"; got != want {
			t.Errorf("the phone got %s, want %s", got, want)
		}
	})
}

// A phone rings fifty times, and OnProvisional takes a minute each time. Each reliable
// response has its PRACK, the answer its ACK, and OnProvisional hears of those that it had
// room for.
func TestFloodOfProvisionals(t *testing.T) {
	for _, reliable := range []bool{false, true} {
		t.Run(fmt.Sprint("reliable=", reliable), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				acked := make(chan time.Time, 1)
				b := newBank(t, n, func(b *bank) {
					for range 50 {
						if reliable {
							b.sayReliably("one", 180)
							time.Sleep(10 * time.Millisecond)
						} else {
							b.say("one", 180)
						}
					}
					b.say("one", 200, b.audio(5001))
				})
				b.answer = func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) }
				n.SetFilter(func(p siptest.Packet) siptest.Verdict {
					if strings.HasPrefix(string(p.Data), "ACK") {
						acked <- p.Time
					}
					return siptest.Verdict{}
				})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				opts := streams(newStream(t))
				told := 0
				opts.OnProvisional = func(*ua.Call, *sip.Response) { told++; time.Sleep(time.Minute) }
				start := time.Now()
				call, err := alice.Invite(t.Context(), bobURI, opts)
				if err != nil {
					t.Fatal(err)
				}
				if took := (<-acked).Sub(start); took > time.Second {
					t.Errorf("the ACK came after %v", took)
				}
				if told != 16 && told != 17 {
					t.Errorf("OnProvisional was called %d times, want 16", told)
				}
				b.mu.Lock()
				pracks := len(slices.DeleteFunc(slices.Clone(b.got), func(s string) bool { return s != "PRACK one" }))
				b.mu.Unlock()
				if want := map[bool]int{true: 50}[reliable]; pracks != want {
					t.Errorf("there were %d PRACKs, want %d", pracks, want)
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// A callee rings reliably without end, with early media, and answers no PRACK. There are
// sixteen of those, and no more responses wait while the stream takes its time over the
// first, be they said to be for other INVITEs, whose RSeq would begin anew.
func TestReliableRingingWithoutEnd(t *testing.T) {
	for _, slow := range []bool{false, true} {
		for _, numbers := range []bool{false, true} {
			t.Run(fmt.Sprint("slow stream=", slow, " other numbers=", numbers), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					n := siptest.NewNetwork(nil)
					pracks := map[string]bool{}
					n.SetFilter(func(p siptest.Packet) siptest.Verdict {
						if m, err := sip.Parse(string(p.Data)); err == nil && strings.HasPrefix(string(p.Data), "PRACK") {
							pracks[m.Via().Branch()] = true
							return siptest.Verdict{Drop: true}
						}
						return siptest.Verdict{}
					})
					newBank(t, n, func(b *bank) {
						for i := range 200 {
							edits := []sip.Edit{b.audio(5001)}
							if numbers {
								edits = append(edits, sip.CSeq{Seq: uint32(1 + i), Method: sip.INVITE})
							}
							b.sayReliably("one", 183, edits...)
							time.Sleep(time.Millisecond)
						}
						<-b.tx.Context().Done()
					})
					alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
					s := newStream(t)
					if slow {
						s.onUpdate = func(context.Context) error { time.Sleep(5 * time.Second); return nil }
					}
					ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
					defer cancel()
					if _, err := alice.Invite(ctx, bobURI, streams(s)); !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("Invite() = %v, want the error of the context", err)
					}
					synctest.Wait()
					if len(pracks) != 16 {
						t.Errorf("there were %d PRACKs, want 16", len(pracks))
					}
				})
			})
		}
	}
}

// A callee rings reliably, which the INVITE has not offered and so it may not (RFC 3262
// section 3): that is ringing like any other. It gets no PRACK, its early media is replaced
// by what the 200 says, and of a flood of it no more waits for a slow stream than of others.
func TestRingingReliablyUnasked(t *testing.T) {
	for _, flood := range []int{1, 200} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			b := newBank(t, n, func(b *bank) {
				for i := range flood {
					b.sayReliably("one", 183, b.audio(5001+i))
					time.Sleep(time.Millisecond)
				}
				time.Sleep(time.Minute)
				b.say("one", 200, b.audio(6000))
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
			s := newStream(t)
			s.onUpdate = func(context.Context) error { time.Sleep(time.Second); return nil }
			opts := streams(s)
			opts.Header = []sip.Edit{sip.Supported{sip.OptionReplaces}}
			call, err := alice.Invite(t.Context(), bobURI, opts)
			if err != nil {
				t.Fatal(err)
			}
			told := strings.Split(s.told(), ", ")
			if want := "sendrecv 192.0.2.2:6000"; told[len(told)-1] != want || len(told) != 1+min(flood, 16) {
				t.Errorf("the stream was told %d times, %q at last, want %d times and %q", len(told), told[len(told)-1], 1+min(flood, 16), want)
			}
			if got, want := b.heard(), "ACK one"; got != want {
				t.Errorf("the phone got %s, want %s", got, want)
			}
			call.Hangup(t.Context())
		})
	}
}
