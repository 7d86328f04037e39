package ua_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// bank is a number that rings at several phones, each known by the tag of its responses.
// What they say to an INVITE is a script.
type bank struct {
	t      *testing.T
	addr   string
	script func(*bank)
	answer func(*transaction.Server, *sip.Request) // other requests; nil: 200

	tx *transaction.Server // of the last INVITE

	mu   sync.Mutex
	seq  map[string]sip.RSeq
	got  []string // other requests: "PRACK one"
	body []string
}

func newBank(t *testing.T, n *siptest.Network, script func(*bank)) *bank {
	b := &bank{t: t, addr: "192.0.2.2", script: script, seq: map[string]sip.RSeq{}}
	newPeer(t, n, b.addr, b.handle)
	return b
}

func (b *bank) handle(tx *transaction.Server, req *sip.Request) {
	if req.Method() == sip.INVITE && req.To().Tag() == "" {
		b.tx = tx
		b.script(b)
		return
	}
	b.mu.Lock()
	b.got = append(b.got, string(req.Method())+" "+req.To().Tag())
	b.body = append(b.body, req.Body())
	b.mu.Unlock()
	switch {
	case req.Method() == sip.ACK:
	case b.answer != nil:
		b.answer(tx, req)
	default:
		tx.Reply(sip.StatusOK)
	}
}

// say has a phone respond to the INVITE.
func (b *bank) say(phone string, status sip.Status, edits ...sip.Edit) {
	req := b.tx.Request()
	if err := b.tx.Respond(req.Reply(status, append([]sip.Edit{contactAt(b.addr)}, edits...)...).With(req.To().WithTag(phone))); err != nil {
		b.t.Logf("%s cannot say %v: %v", phone, status, err)
	}
}

// sayReliably has a phone respond so that it wants a PRACK.
func (b *bank) sayReliably(phone string, status sip.Status, edits ...sip.Edit) {
	b.mu.Lock()
	b.seq[phone]++
	seq := b.seq[phone]
	b.mu.Unlock()
	b.say(phone, status, append(edits, sip.Require{sip.Option100rel}, seq)...)
}

// audio is the description of a phone.
func (b *bank) audio(port int) sip.Edit {
	return describe(b.addr, 1, fmt.Sprintf("audio %d RTP/AVP 0", port))
}

// heard returns what the phones were sent, but the INVITE, in alphabetical order.
func (b *bank) heard() string {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	slices.Sort(b.got)
	return strings.Join(slices.Compact(b.got), ", ")
}

// forkStream is audio that can serve several branches.
type forkStream struct {
	*fakeStream
	mu     sync.Mutex
	forked []*fakeStream
}

func (s *forkStream) Fork(ctx context.Context) (ua.Stream, error) {
	defer s.leave()
	if err := s.enter("Fork", nil, ctx); err != nil {
		return nil, err
	}
	f := newStream(s.t)
	f.described = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forked = append(s.forked, f)
	return f, nil
}

// Two phones ring, each with early media, and one answers, or a third one that never rang.
// The call that Invite returns is that branch; the others are over by then, and what was
// only theirs is closed.
func TestForkWithEarlyMedia(t *testing.T) {
	for _, reliable := range []bool{false, true} {
		for _, test := range []struct {
			winner string
			stream string // what a stream that is no Forker is told
			forks  []string
		}{
			{"one", "sendrecv 192.0.2.2:5001, sendrecv 192.0.2.2:5002, sendrecv 192.0.2.2:5001",
				[]string{"sendrecv 192.0.2.2:5001", "sendrecv 192.0.2.2:5002"}},
			{"two", "sendrecv 192.0.2.2:5001, sendrecv 192.0.2.2:5002",
				[]string{"sendrecv 192.0.2.2:5001", "sendrecv 192.0.2.2:5002"}},
			{"three", "sendrecv 192.0.2.2:5001, sendrecv 192.0.2.2:5002, sendrecv 192.0.2.2:5003",
				[]string{"sendrecv 192.0.2.2:5001", "sendrecv 192.0.2.2:5002", "sendrecv 192.0.2.2:5003"}},
		} {
			for _, forks := range []bool{false, true} {
				t.Run(fmt.Sprint(test.winner, " reliable=", reliable, " Forker=", forks), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						n := siptest.NewNetwork(nil)
						ports := map[string]int{"one": 5001, "two": 5002, "three": 5003}
						b := newBank(t, n, func(b *bank) {
							for _, phone := range []string{"one", "two"} {
								say := b.say
								if reliable {
									say = b.sayReliably
								}
								say(phone, 183, b.audio(ports[phone]))
								time.Sleep(time.Second)
							}
							b.say(test.winner, 200, b.audio(ports[test.winner]))
						})
						alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
						fs := &forkStream{fakeStream: newStream(t)}
						opts := &ua.InviteOptions{Streams: []ua.Stream{fs.fakeStream}}
						if forks {
							opts.Streams = []ua.Stream{fs}
						}
						branches := map[string]*ua.Call{}
						opts.OnProvisional = func(c *ua.Call, resp *sip.Response) { branches[resp.To().Tag()] = c }
						call, err := alice.Invite(t.Context(), bobURI, opts)
						if err != nil {
							t.Fatal(err)
						}
						won := map[string]int{"one": 0, "two": 1, "three": 2}[test.winner]
						if forks {
							for i, s := range append([]*fakeStream{fs.fakeStream}, fs.forked...) {
								s.check(t, fmt.Sprint("stream ", i), test.forks[i], i != won)
							}
						} else {
							fs.check(t, "stream", test.stream, false)
						}
						for tag, c := range branches {
							select {
							case <-c.Done():
								if tag == test.winner || c.Err() != nil {
									t.Errorf("branch %s is over: %v", tag, c.Err())
								}
							default:
								if tag != test.winner {
									t.Errorf("branch %s is not over", tag)
								}
							}
							if (c == call) != (tag == test.winner) {
								t.Errorf("branch %s is the call: %v", tag, c == call)
							}
						}
						want := "ACK " + test.winner
						if reliable {
							want += ", PRACK one, PRACK two"
						}
						if got := b.heard(); got != want {
							t.Errorf("the phones got %s, want %s", got, want)
						}
						call.Hangup(t.Context())
						fs.told()
						fs.check(t, "after the call", "", true)
					})
				})
			}
		}
	}
}

// All phones refuse: every branch is over when Invite returns, and every stream is closed.
func TestForkFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newBank(t, n, func(b *bank) {
			for i, phone := range []string{"one", "two", "three"} {
				b.say(phone, 183, b.audio(5001+i))
			}
			time.Sleep(time.Second)
			b.say("two", 486)
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := &forkStream{fakeStream: newStream(t)}
		var branches []*ua.Call
		_, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{
			Streams:       []ua.Stream{s},
			OnProvisional: func(c *ua.Call, _ *sip.Response) { branches = append(branches, c) },
		})
		if !errors.Is(err, sip.StatusBusyHere) {
			t.Errorf("Invite() = %v, want 486", err)
		}
		for i, s := range append([]*fakeStream{s.fakeStream}, s.forked...) {
			s.check(t, fmt.Sprint("stream ", i), fmt.Sprint("sendrecv 192.0.2.2:", 5001+i), true)
		}
		if len(branches) != 3 || len(s.forked) != 2 {
			t.Errorf("there were %d branches and %d forks, want 3 and 2", len(branches), len(s.forked))
		}
		for _, c := range branches {
			select {
			case <-c.Done():
			default:
				t.Error("a branch is not over")
			}
		}
	})
}

// A phone says with 199 that it has refused: its branch is over, while the other rings on.
func TestEarlyDialogTerminated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newBank(t, n, func(b *bank) {
			b.say("one", 183, b.audio(5001))
			b.say("two", 183, b.audio(5002))
			time.Sleep(time.Second)
			b.say("two", 199)
			time.Sleep(time.Second)
			b.say("one", 200, b.audio(5001))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := &forkStream{fakeStream: newStream(t)}
		var two *ua.Call
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{
			Streams: []ua.Stream{s},
			OnProvisional: func(c *ua.Call, resp *sip.Response) {
				if resp.Status() == 199 {
					two = c
					select {
					case <-c.Done():
					default:
						t.Error("the branch is not over")
					}
				}
			},
		})
		if err != nil || two == nil || two == call {
			t.Fatalf("Invite() = %v, and the 199 was of %p", err, two)
		}
		s.check(t, "one", "sendrecv 192.0.2.2:5001", false)
		s.forked[0].check(t, "two", "sendrecv 192.0.2.2:5002", true)
	})
}

// The program hangs up the branch that it does not like. The other one answers.
func TestHangupOfBranch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		b := newBank(t, n, func(b *bank) {
			b.say("one", 183, b.audio(5001))
			b.say("two", 183, b.audio(5002))
			time.Sleep(time.Second)
			b.say("two", 200, b.audio(5002))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := &forkStream{fakeStream: newStream(t)}
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{
			Streams: []ua.Stream{s},
			OnProvisional: func(c *ua.Call, resp *sip.Response) {
				if resp.To().Tag() != "one" {
					return
				}
				if err := c.Hangup(context.Background()); err != nil {
					t.Error(err)
				}
				select {
				case <-c.Done():
				default:
					t.Error("the branch is not over")
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.heard(), "ACK two, BYE one"; got != want {
			t.Errorf("the phones got %s, want %s", got, want)
		}
		call.Hangup(t.Context())
	})
}

// The branch that the program has hung up answers all the same: it is ended, and that is
// the end of the INVITE.
func TestHungUpBranchAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		b := newBank(t, n, func(b *bank) {
			b.say("one", 183, b.audio(5001))
			time.Sleep(time.Second)
			b.say("one", 200, b.audio(5001))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		opts := streams(s)
		opts.OnProvisional = func(c *ua.Call, _ *sip.Response) { c.Hangup(context.Background()) }
		if _, err := alice.Invite(t.Context(), bobURI, opts); err == nil || errors.Is(err, ua.ErrHungUp) {
			t.Errorf("Invite() = %v, want that the call is over", err)
		}
		s.check(t, "stream", "sendrecv 192.0.2.2:5001", true)
		if got, want := b.heard(), "ACK one, BYE one"; got != want {
			t.Errorf("the phone got %s, want %s", got, want)
		}
	})
}

// The branch that the program has hung up says no more, nor does its number: the INVITE is
// cancelled after 64*T1.
func TestHungUpBranchIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newBank(t, n, func(b *bank) {
			b.say("one", 180)
			<-b.tx.Context().Done()
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := newStream(t)
		opts := streams(s)
		opts.OnProvisional = func(c *ua.Call, _ *sip.Response) { c.Hangup(context.Background()) }
		start := time.Now()
		_, err := alice.Invite(t.Context(), bobURI, opts)
		if took := time.Since(start); !errors.Is(err, dialog.ErrEnded) || errors.Is(err, context.Canceled) || took != 32*time.Second {
			t.Errorf("Invite() = %v after %v, want ErrEnded after 32s", err, took)
		}
		s.check(t, "caller", "", true)
	})
}

// Two phones answer in the same moment: the first is the call, the other gets ACK and BYE.
func TestTwoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		b := newBank(t, n, func(b *bank) {
			b.say("one", 183, b.audio(5001))
			b.say("two", 183, b.audio(5002))
			b.say("two", 200, b.audio(5002))
			b.say("one", 200, b.audio(5001))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := &forkStream{fakeStream: newStream(t)}
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{s}})
		if err != nil {
			t.Fatal(err)
		}
		if got, want := b.heard(), "ACK one, ACK two, BYE one"; got != want {
			t.Errorf("the phones got %s, want %s", got, want)
		}
		if tag := call.Dialog().ID().RemoteTag; tag != "two" {
			t.Errorf("the call is %s, want two", tag)
		}
		call.Hangup(t.Context())
		for _, s := range append(s.forked, s.fakeStream) {
			s.told()
			s.check(t, "in the end", "", true)
		}
	})
}

// A stream that cannot be forked costs the branch and nothing else.
func TestForkOfStreamFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		newBank(t, n, func(b *bank) {
			b.say("one", 183, b.audio(5001))
			b.say("two", 183, b.audio(5002))
			time.Sleep(time.Second)
			b.say("one", 200, b.audio(5001))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := brittle{newStream(t)}
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{Streams: []ua.Stream{s}})
		if err != nil {
			t.Fatal(err)
		}
		call.Hangup(t.Context())
		s.check(t, "stream", "sendrecv 192.0.2.2:5001", true)
	})
}

// brittle is a stream that cannot be forked though it says so.
type brittle struct{ *fakeStream }

func (brittle) Fork(context.Context) (ua.Stream, error) { return nil, errors.New("no more ports") }

// A thousand phones ring, each reliably and with early media, while the stream is slow: what is
// kept of them is bounded, and one of the first can answer.
func TestThousandBranches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 4096})
		newBank(t, n, func(b *bank) {
			for i := range 1000 {
				b.sayReliably(fmt.Sprint("phone", i), 183, b.audio(5001))
			}
			time.Sleep(time.Minute)
			b.say("phone0", 200, b.audio(5001))
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		s := &forkStream{fakeStream: newStream(t)}
		s.onUpdate = func(context.Context) error { time.Sleep(10 * time.Second); return nil }
		told := 0
		call, err := alice.Invite(t.Context(), bobURI, &ua.InviteOptions{
			Streams:       []ua.Stream{s},
			OnProvisional: func(*ua.Call, *sip.Response) { told++ },
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(s.forked) != 31 || told > 64 {
			t.Errorf("there were %d forks, and OnProvisional was called %d times, want 31 and less than 64", len(s.forked), told)
		}
		call.Hangup(t.Context())
		for _, f := range s.forked {
			f.told()
			f.check(t, "fork", "", true)
		}
	})
}
