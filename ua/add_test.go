package ua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// newPairOf is newPair with configurations.
func newPairOf(t *testing.T, alice, bob ua.Config) *pair {
	t.Helper()
	p := &pair{n: siptest.NewNetwork(&siptest.NetworkConfig{Delay: 10 * time.Millisecond, Record: true}), ours: newStream(t), theirs: newStream(t)}
	calls := make(chan *ua.Call, 1)
	bob.OnInvite = answerWith(calls, p.theirs)
	newAgent(t, p.n, "192.0.2.2", "sip:bob@b.example", bob)
	a := newAgent(t, p.n, "192.0.2.1", "sip:alice@a.example", alice)
	var err error
	if p.a, err = a.Invite(t.Context(), bobURI, streams(p.ours)); err != nil {
		t.Fatal(err)
	}
	p.b = <-calls
	p.ours.told()
	p.theirs.told()
	return p
}

// described returns the m= lines of the last description that was sent.
func (p *pair) described(t *testing.T) string {
	t.Helper()
	packets := p.n.Packets()
	for i := len(packets) - 1; i >= 0; i-- {
		if m, err := sip.Parse(string(packets[i].Data)); err == nil && m.Body() != "" {
			var lines []string
			for line := range strings.SplitSeq(m.Body(), "\r\n") {
				if strings.HasPrefix(line, "m=") {
					lines = append(lines, line)
				}
			}
			return strings.Join(lines, ", ")
		}
	}
	return ""
}

// addTakers are streams for those that the peer adds.
type addTakers struct {
	t  *testing.T
	ss []*fakeStream
}

func (x *addTakers) take(_ context.Context, _ *ua.Call, remote *sdp.Media) ua.Stream {
	s := newStream(x.t)
	x.ss = append(x.ss, s)
	return s
}

// A stream is added to the call, by either side, and removed, by either; and the next one
// takes its place (RFC 3264 section 8).
func TestAddAndRemove(t *testing.T) {
	for _, adds := range []string{"Alice", "Bob"} {
		for _, removes := range []string{"Alice", "Bob"} {
			t.Run(adds+" adds, "+removes+" removes", func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := &addTakers{t: t}
					p := newPairOf(t, ua.Config{OnStream: x.take}, ua.Config{OnStream: x.take})
					adder, remover := p.a, p.a
					their := "192.0.2.2"
					if adds == "Bob" {
						adder, their = p.b, "192.0.2.1"
					}
					our := map[string]string{"192.0.2.2": "192.0.2.1", "192.0.2.1": "192.0.2.2"}[their]
					if removes == "Bob" {
						remover = p.b
					}
					for i := range 3 {
						second := newStream(t)
						if err := adder.Add(t.Context(), second); err != nil {
							t.Fatalf("Add() = %v", err)
						}
						synctest.Wait()
						taker := x.ss[i]
						second.check(t, "added", "sendrecv "+their+":4000", false)
						taker.check(t, "taken", "sendrecv "+our+":4000", false)
						if got, want := p.described(t), "m=audio 4000 RTP/AVP 0, m=audio 4000 RTP/AVP 0"; got != want {
							t.Errorf("described is %s, want %s", got, want)
						}
						removed, other := second, taker
						if adds != removes {
							removed, other = taker, second
						}
						if err := remover.Remove(t.Context(), removed); err != nil {
							t.Fatalf("Remove() = %v", err)
						}
						synctest.Wait()
						removed.told()
						removed.check(t, "removed", "", true)
						if told := other.told(); !strings.HasSuffix(told, ":0") {
							t.Errorf("the other side's stream was told %q, want a port 0", told)
						}
						if got, want := p.described(t), "m=audio 4000 RTP/AVP 0, m=audio 0 RTP/AVP 0"; got != want {
							t.Errorf("described is %s, want %s", got, want)
						}
						if adds != removes {
							// The side that has it still gives its section up.
							if err := adder.Remove(t.Context(), second); err != nil {
								t.Fatalf("Remove() of what the peer has ended = %v", err)
							}
						} else if err := otherOf(p, adder).Remove(t.Context(), taker); err != nil {
							t.Fatalf("Remove() of what the peer has ended = %v", err)
						}
					}
					p.ours.check(t, "Alice", "", false)
					p.theirs.check(t, "Bob", "", false)
					p.a.Hangup(t.Context())
					<-p.b.Done()
					for _, s := range x.ss {
						s.told()
						s.check(t, "in the end", "", true)
					}
				})
			})
		}
	}
}

func otherOf(p *pair, c *ua.Call) *ua.Call {
	if c == p.a {
		return p.b
	}
	return p.a
}

// The peer ends a stream and puts another kind of session into its section, which the stream
// that had it does not know. OnStream is asked, and the stream that lost its section is closed.
func TestSectionOfSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newPCMA(t)
		o := newOffererTo(t, ua.Config{OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream { return second }}, nil)
		o.offer(t, describe("192.0.2.1", 2, "audio 0 RTP/AVP 0"))
		resp := o.offer(t, describe("192.0.2.1", 3, "audio 5002 RTP/AVP 8"))
		if !contains(resp.Body(), "m=audio 4000 RTP/AVP 8") {
			t.Errorf("the offer got %v %s", resp.Status(), resp.Body())
		}
		second.check(t, "the second", "sendrecv 192.0.2.1:5002", false)
		o.stream.told()
		o.stream.check(t, "the first", "", true)
		o.call.Hangup(t.Context())
		second.check(t, "the second", "", true)
	})
}

// newPCMA is a stream that does not take what another one does.
func newPCMA(t *testing.T) *fakeStream {
	s := newStream(t)
	s.codec = sdp.Format{PayloadType: 8, Name: "PCMA", ClockRate: 8000}
	return s
}

// The same, but the peer gives up while OnStream takes its time. The stream that comes too late
// is closed, and that which had the section can have it again.
func TestSectionOfSomethingElseCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newPCMA(t)
		o := newOffererTo(t, ua.Config{OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream {
			time.Sleep(2 * time.Second)
			return second
		}}, nil)
		o.offer(t, describe("192.0.2.1", 2, "audio 0 RTP/AVP 0"))
		o.stream.told()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := o.s.Invite(ctx, nil, describe("192.0.2.1", 3, "audio 5002 RTP/AVP 8")); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the offer came to %v, want the error of the context", err)
		}
		time.Sleep(2 * time.Second)
		second.told()
		second.check(t, "the second", "", true)
		o.offer(t, describe("192.0.2.1", 4, "audio 5004 RTP/AVP 0"))
		o.stream.check(t, "the first", "sendrecv 192.0.2.1:5004", false)
		o.call.Hangup(t.Context())
		o.stream.check(t, "the first", "", true)
	})
}

// OnStream returns a stream that does not take what the peer adds: it is closed at once.
func TestSectionThatStreamRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		second := newPCMA(t)
		o := newOffererTo(t, ua.Config{OnStream: func(context.Context, *ua.Call, *sdp.Media) ua.Stream { return second }}, nil)
		resp := o.offer(t, describe("192.0.2.1", 2, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0"))
		if !contains(resp.Body(), "m=audio 0 RTP/AVP 0") {
			t.Errorf("the offer got %v %s", resp.Status(), resp.Body())
		}
		second.check(t, "the second", "", true)
		o.stream.check(t, "the first", "", false)
		o.call.Hangup(t.Context())
	})
}

// The peer has ended a section, and so it is there for the next stream. That which had it is
// closed when the peer has accepted the other, and not before.
func TestAddTakesEndedSection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accepts := false
		o := newOfferer(t, func(_ context.Context, in *dialog.Invitation) {
			if got, want := strings.Count(in.Request().Body(), "m="), 1; got != want {
				t.Errorf("%d sections are offered, want %d", got, want)
			}
			if !accepts {
				in.Reject(sip.StatusNotAcceptableHere)
				return
			}
			in.Accept(describe("192.0.2.1", 5, "audio 5008 RTP/AVP 0"))
		})
		o.offer(t, describe("192.0.2.1", 2, "audio 0 RTP/AVP 0"))
		refused := newStream(t)
		if err := o.call.Add(t.Context(), refused); !errors.Is(err, sip.StatusNotAcceptableHere) {
			t.Errorf("Add() = %v, want 488", err)
		}
		refused.check(t, "refused", "", true)
		o.stream.told()
		o.offer(t, describe("192.0.2.1", 3, "audio 5004 RTP/AVP 0"))
		o.stream.check(t, "the first, again", "sendrecv 192.0.2.1:5004", false)
		o.offer(t, describe("192.0.2.1", 4, "audio 0 RTP/AVP 0"))
		o.stream.told()
		accepts = true
		added := newStream(t)
		if err := o.call.Add(t.Context(), added); err != nil {
			t.Errorf("Add() = %v", err)
		}
		o.stream.check(t, "the first", "", true)
		added.check(t, "added", "sendrecv 192.0.2.1:5008", false)
		o.call.Hangup(t.Context())
		added.check(t, "added", "", true)
	})
}

// What goes wrong with Add: the stream is closed once, the other goes on, and another one can
// be added.
func TestAddFails(t *testing.T) {
	broken := errors.New("no port")
	for _, test := range []struct {
		name   string
		peer   func(tx *transaction.Server, req *sip.Request) // re-INVITEs; nil refuses the section
		stream func(*fakeStream)
		want   error
	}{
		{name: "section refused", want: ua.ErrNoStream},
		{name: "488", peer: func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusNotAcceptableHere) }, want: sip.StatusNotAcceptableHere},
		{name: "nonsense", peer: func(tx *transaction.Server, _ *sip.Request) {
			tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), sip.Body{Type: "application/sdp", Content: "x"})
		}},
		{name: "no port", stream: func(s *fakeStream) { s.onOffer = func(context.Context) error { return broken } }, want: broken},
		{name: "nobody answers", peer: func(tx *transaction.Server, _ *sip.Request) { <-tx.Context().Done() }, want: context.DeadlineExceeded},
		{name: "491 for ever", peer: func(tx *transaction.Server, _ *sip.Request) { tx.Reply(sip.StatusRequestPending) }, want: sip.StatusRequestPending},
		{name: "500 for ever", peer: func(tx *transaction.Server, _ *sip.Request) {
			tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 10})
		}, want: sip.StatusServerInternalError},
		{name: "500 for long", peer: func(tx *transaction.Server, _ *sip.Request) {
			tx.Reply(sip.StatusServerInternalError, sip.RetryAfter{Seconds: 4294967295})
		}, want: sip.StatusServerInternalError},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				b := newBank(t, n, func(b *bank) { b.say("one", 200, b.audio(5000)) })
				refuse := func(tx *transaction.Server, req *sip.Request) {
					tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0", "audio 0 RTP/AVP 0"))
				}
				b.answer = func(tx *transaction.Server, req *sip.Request) {
					switch {
					case req.Method() != sip.INVITE:
						tx.Reply(sip.StatusOK)
					case test.peer != nil:
						test.peer(tx, req)
					default:
						refuse(tx, req)
					}
				}
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				first, second := newStream(t), newStream(t)
				call, err := alice.Invite(t.Context(), bobURI, streams(first))
				if err != nil {
					t.Fatal(err)
				}
				if test.stream != nil {
					test.stream(second)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				defer cancel()
				err = call.Add(ctx, second)
				if err == nil || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("Add() = %v, want %v", err, test.want)
				}
				if test.want == context.DeadlineExceeded {
					time.Sleep(time.Minute) // the CANCEL is given up, too
				}
				second.check(t, "added", "", true)
				first.check(t, "the first", "sendrecv 192.0.2.2:5000", false)
				b.answer = func(tx *transaction.Server, req *sip.Request) {
					if req.Method() != sip.INVITE {
						tx.Reply(sip.StatusOK)
						return
					}
					tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0", "audio 5002 RTP/AVP 0"))
				}
				third := newStream(t)
				if err := call.Add(t.Context(), third); err != nil && call.Err() == nil {
					t.Errorf("Add() of another one = %v", err)
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// Add and Hold of the two sides, in the same moment, and the call may end in it: each comes
// about or says why not, and every stream is closed once.
func TestChangesAtOnce(t *testing.T) {
	for _, hangup := range []time.Duration{0, 15 * time.Millisecond, 30 * time.Millisecond, time.Second, 5 * time.Second, time.Minute} {
		t.Run(fmt.Sprint("ends after ", hangup), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := &addTakers{t: t}
				p := newPairOf(t, ua.Config{OnStream: x.take}, ua.Config{OnStream: x.take})
				added := []*fakeStream{newStream(t), newStream(t)}
				errs := make(chan error, 6)
				for i, c := range []*ua.Call{p.a, p.b} {
					go func() { errs <- c.Add(t.Context(), added[i]) }()
					go func() { errs <- c.Hold(t.Context()) }()
					go func() { errs <- c.Renegotiate(t.Context()) }()
				}
				time.Sleep(hangup)
				p.a.Hangup(t.Context())
				<-p.b.Done()
				for range 6 {
					err := <-errs
					if hangup == time.Minute && err != nil || err != nil && !errors.Is(err, dialog.ErrEnded) && !errors.Is(err, sip.StatusCallDoesNotExist) && !errors.Is(err, ua.ErrHungUp) {
						t.Errorf("a change came to %v", err)
					}
				}
				time.Sleep(time.Minute)
				for _, s := range append(append(x.ss, added...), p.ours, p.theirs) {
					s.told()
					s.check(t, "in the end", "", true)
				}
			})
		})
	}
}

// A context ends while Add, Hold and Renegotiate wait for a peer that says nothing. They return
// then, and the next change works when the peer is back.
func TestChangeGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPairOf(t, ua.Config{}, ua.Config{OnStream: (&addTakers{t: t}).take})
		p.n.Cut(p.n.Host("192.0.2.1"), p.n.Host("192.0.2.2"))
		second := newStream(t)
		for _, change := range []func(context.Context) error{
			p.a.Hold,
			func(ctx context.Context) error { return p.a.Add(ctx, second) },
			p.a.Renegotiate,
			func(ctx context.Context) error { return p.a.Remove(ctx, p.ours) },
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			start := time.Now()
			err := change(ctx)
			if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took != time.Second {
				t.Errorf("a change came to %v after %v, want the error of the context after 1s", err, took)
			}
			cancel()
		}
		p.n.Mend(p.n.Host("192.0.2.1"), p.n.Host("192.0.2.2"))
		time.Sleep(40 * time.Second)
		second.check(t, "added", "", true)
		p.ours.check(t, "Alice", "sendonly 192.0.2.2:4000", false) // the INVITE came through
		if err := p.a.Resume(t.Context()); err != nil {
			t.Errorf("Resume() = %v", err)
		}
		p.a.Hangup(t.Context())
	})
}

// The peer accepts a change in a reliable 183 and then refuses the INVITE: what it has accepted
// is so, until another offer takes it back (RFC 6141 section 3.4).
func TestRefusedAfterExecution(t *testing.T) {
	for _, change := range []string{"Hold", "Add", "Remove"} {
		t.Run(change, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := siptest.NewNetwork(nil)
				var bodies []string
				newCaller(t, n, "192.0.2.2", &dialog.Config{OnInvite: func(_ context.Context, in *dialog.Invitation) {
					answer := func() sip.Body {
						body := in.Request().Body()
						var sections []string
						for line := range strings.SplitSeq(body, "\r\n") {
							switch {
							case strings.HasPrefix(line, "m=audio 0"):
								sections = append(sections, "audio 0 RTP/AVP 0")
							case strings.HasPrefix(line, "m="):
								sections = append(sections, "audio 5000 RTP/AVP 0")
							case line == "a=sendonly":
								sections[len(sections)-1] += "|a=recvonly"
							}
						}
						return describe("192.0.2.2", len(bodies)+1, sections...)
					}
					bodies = append(bodies, in.Request().Body())
					if len(bodies) == 2 {
						if err := in.Reliable(sip.StatusSessionProgress, answer()); err != nil {
							t.Error(err)
						}
						time.Sleep(time.Second)
						in.Reject(sip.StatusDecline)
						return
					}
					in.Accept(answer())
				}})
				alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
				first, second := newStream(t), newStream(t)
				call, err := alice.Invite(t.Context(), bobURI, streams(first))
				if err != nil {
					t.Fatal(err)
				}
				first.told()
				switch change {
				case "Hold":
					err = call.Hold(t.Context())
				case "Add":
					err = call.Add(t.Context(), second)
				case "Remove":
					err = call.Remove(t.Context(), first)
				}
				if !errors.Is(err, sip.StatusDecline) {
					t.Errorf("%s() = %v, want 603", change, err)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if len(bodies) != 3 {
					t.Fatalf("there were %d offers, want a third one", len(bodies))
				}
				switch change {
				case "Hold":
					first.check(t, "first", "sendonly 192.0.2.2:5000, sendrecv 192.0.2.2:5000", false)
				case "Add":
					second.told()
					second.check(t, "second", "", true)
					if !contains(bodies[2], "m=audio 0") {
						t.Errorf("the third offer is %s, want the section ended", bodies[2])
					}
				}
				call.Hangup(t.Context())
			})
		})
	}
}

// A stream that the call does not have cannot be removed, and one that has no section is.
func TestRemoveUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t)
		if err := p.a.Remove(t.Context(), newStream(t)); !errors.Is(err, ua.ErrNoStream) {
			t.Errorf("Remove() = %v, want ErrNoStream", err)
		}
		if err := p.a.Add(t.Context(), nil); err == nil {
			t.Error("Add(nil) worked")
		}
		p.a.Hangup(t.Context())
		late := newStream(t)
		if err := p.a.Add(t.Context(), late); !errors.Is(err, dialog.ErrEnded) {
			t.Errorf("Add() to a call that is over = %v", err)
		}
		late.check(t, "late", "", true)
	})
}
