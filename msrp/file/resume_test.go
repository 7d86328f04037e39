package file_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/ua"
)

// breaksOff has Alice send a file, and loses her connections when half of it is out.
func breaksOff(p *place, path string) {
	p.t.Helper()
	cut := false
	push := p.push(path, &file.SendOptions{Progress: func(sent, size int64) {
		if sent >= size/2 && !cut {
			cut = true
			p.alice.host.Reset()
		}
	}})
	call := p.calls(push)
	if err := push.Wait(p.ctx); !errors.Is(err, msrp.ErrLost) {
		p.t.Errorf("Wait of the sender: %v, want ErrLost", err)
	}
	if r := <-p.got; !errors.Is(r.err, msrp.ErrLost) {
		p.t.Errorf("Wait of the receiver: %v, want ErrLost", r.err)
	}
	p.hangup(call)
}

// A transfer that was broken off goes on in another call: the receiver has a part, and to an offer of the
// whole asks for the rest under a new identifier (RFC 5547 sections 6 and 8.1).
func TestPushIsResumed(t *testing.T) {
	octets := content(1, 4<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		path := written(t, "a.bin", octets)
		breaksOff(p, path)
		before := parts(t, inbox)
		if len(before) != 1 || before[0] < 1<<20 {
			t.Fatalf("parts of %d octets, want one of more than 1 MiB", before)
		}
		packets := len(p.net.Packets())
		push := p.push(path, nil)
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a.bin": octets})
		// Until the new offer is there the file comes from its beginning, as far as there is room in the network.
		if got, rest := p.sent(p.alice, packets), len(octets)-int(before[0]); got > rest+512<<10 {
			t.Errorf("%d bytes were sent for the rest of %d", got, rest)
		}
		if !p.said(p.bob, "a=recvonly", "a=file-range:") {
			t.Error("Bob has not asked for a range")
		}
	})
}

// However long it takes to ask for the rest, the file is not sent from its beginning meanwhile: what is there
// of it is not read again.
func TestNothingIsReadBeforeTheRestIsAskedFor(t *testing.T) {
	octets := content(1, 4<<20)
	for name, answer := range map[string]func(in *file.Receiver, ctx context.Context, renegotiate func(context.Context) error) error{
		"by Resume": func(in *file.Receiver, ctx context.Context, renegotiate func(context.Context) error) error {
			time.Sleep(5 * time.Second) // of the bubble
			return in.Resume(ctx, func(ctx context.Context) error {
				time.Sleep(5 * time.Second)
				return renegotiate(ctx)
			})
		},
		"by nobody": func(*file.Receiver, context.Context, func(context.Context) error) error {
			time.Sleep(10 * time.Second)
			return nil
		},
		"in vain": func(in *file.Receiver, ctx context.Context, _ func(context.Context) error) error {
			no := errors.New("no")
			if err := in.Resume(ctx, func(context.Context) error { time.Sleep(10 * time.Second); return no }); err != no {
				return fmt.Errorf("Resume: %w", err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inbox := root(t)
			broken := true
			story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
				if broken {
					takes(inbox, nil, 1)(p, ctx, inv)
					return
				}
				answered := time.Now()
				var most atomic.Int64
				in := file.Receive(p.bob.ep, inbox, &file.ReceiveOptions{Progress: func(n, _ int64) {
					if time.Since(answered) < 10*time.Second {
						most.Store(n)
					}
				}})
				call, err := inv.Answer(ctx, in)
				if err == nil {
					err = answer(in, p.ctx, call.Renegotiate)
				}
				if err != nil {
					t.Error(err)
				}
				if n := most.Load(); n > 0 {
					t.Errorf("%d octets were read before", n)
				}
				path, err := in.Wait(p.ctx)
				p.got <- receipt{path: path, err: err}
			}, func(p *place) {
				path := written(t, "a.bin", octets)
				breaksOff(p, path)
				broken = false
				push := p.push(path, nil)
				call := p.calls(push)
				if err := push.Wait(p.ctx); err != nil {
					t.Error(err)
				}
				if r := <-p.got; r.err != nil {
					t.Error(r.err)
				}
				p.hangup(call)
				holds(t, inbox, map[string][]byte{"a.bin": octets})
			})
		})
	}
}

// When the connection is lost and the call is not, the rest comes in the same call.
func TestPushIsResumedInTheCall(t *testing.T) {
	octets := content(1, 4<<20)
	inbox := root(t)
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(p.bob.ep, inbox, nil)
		call, err := inv.Answer(ctx, in)
		if err != nil {
			t.Error(err)
			return
		}
		if _, err := in.Wait(p.ctx); !errors.Is(err, msrp.ErrLost) {
			t.Errorf("Wait: %v, want ErrLost", err)
		}
		if err := in.Resume(p.ctx, call.Renegotiate); err != nil {
			t.Error(err)
		}
		path, err := in.Wait(p.ctx)
		p.got <- receipt{path, in.Description(), err}
	}, func(p *place) {
		cut := false
		push := p.push(written(t, "a.bin", octets), &file.SendOptions{Progress: func(sent, size int64) {
			if sent >= size/2 && !cut {
				cut = true
				p.alice.host.Reset()
			}
		}})
		call := p.calls(push)
		if err := push.Wait(p.ctx); !errors.Is(err, msrp.ErrLost) {
			t.Errorf("Wait: %v, want ErrLost", err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		if err := push.Wait(p.ctx); err != nil {
			t.Errorf("Wait for the rest: %v", err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a.bin": octets})
	})
}

// What a transfer leaves whose connection is lost is for other calls at once, though its own has not ended: who
// was killed says no BYE. That one leaves alone then what another is writing, and has the file sent anew when
// that has finished.
func TestPartIsLeftBeforeTheCallEnds(t *testing.T) {
	octets := content(1, 4<<20)
	inbox := root(t)
	var first *file.Receiver
	var goesOn chan bool
	calls := 0
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		if calls++; calls == 1 {
			first = file.Receive(p.bob.ep, inbox, nil)
			call, err := inv.Answer(ctx, first)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := first.Wait(p.ctx); !errors.Is(err, msrp.ErrLost) {
				t.Errorf("Wait: %v, want ErrLost", err)
			}
			p.got <- receipt{}
			<-goesOn
			if err := first.Resume(p.ctx, call.Renegotiate); err != nil {
				t.Error(err)
			}
			path, err := first.Wait(p.ctx)
			p.got <- receipt{path: path, err: err}
			return
		}
		takes(inbox, &file.ReceiveOptions{Progress: func(n, size int64) {
			if n < size { // a renegotiation would wait for its answer here
				first.Resume(p.ctx, func(context.Context) error {
					t.Error("the rest is asked for, which is being written")
					return nil
				})
			}
		}}, 1)(p, ctx, inv)
	}, func(p *place) {
		goesOn = make(chan bool)
		path, cut := written(t, "a.bin", octets), false
		one := p.push(path, &file.SendOptions{Progress: func(sent, size int64) {
			if sent >= size/2 && !cut {
				cut = true
				p.alice.host.Reset()
			}
		}})
		up := p.calls(one)
		if err := one.Wait(p.ctx); !errors.Is(err, msrp.ErrLost) {
			t.Errorf("Wait of the sender: %v, want ErrLost", err)
		}
		<-p.got
		before := parts(t, inbox)
		if len(before) != 1 || before[0] < 1<<20 {
			t.Fatalf("parts of %d octets, want one of more than 1 MiB", before)
		}
		packets := len(p.net.Packets())
		two := p.push(path, nil)
		call := p.calls(two)
		if err := two.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a.bin": octets})
		if got, rest := p.sent(p.alice, packets), len(octets)-int(before[0]); got > rest+512<<10 {
			t.Errorf("%d bytes were sent for the rest of %d", got, rest)
		}
		goesOn <- true
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(up)
		holds(t, inbox, map[string][]byte{"a.bin": octets, "a (2).bin": octets})
	})
}

// Who asks for a file by its hash asks for the octets that are missing (RFC 5547 section 8.2.2).
func TestPullIsResumed(t *testing.T) {
	octets := content(1, 4<<20)
	hers, shelf := root(t), root(t)
	shelf.WriteFile("a.bin", octets, 0o600)
	sum := sha1.Sum(octets)
	want := file.Selector{Hashes: []file.Hash{{Algorithm: file.SHA1, Sum: sum[:]}}}
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		out := file.Serve(p.bob.ep, file.InDir(shelf), nil)
		if _, err := inv.Answer(ctx, out); err != nil {
			t.Error(err)
			return
		}
		p.got <- receipt{err: out.Wait(p.ctx)}
	}, func(p *place) {
		cut := false
		pull := file.Pull(p.alice.ep, hers, want, &file.ReceiveOptions{Progress: func(received, size int64) {
			if received >= 2<<20 && !cut {
				cut = true
				p.alice.host.Reset()
			}
		}})
		call := p.calls(pull)
		if _, err := pull.Wait(p.ctx); !errors.Is(err, msrp.ErrLost) {
			t.Errorf("Wait: %v, want ErrLost", err)
		}
		if r := <-p.got; !errors.Is(r.err, msrp.ErrLost) {
			t.Errorf("Bob's Wait: %v, want ErrLost", r.err)
		}
		p.hangup(call)
		packets, first := len(p.net.Packets()), int64(-1)
		pull = file.Pull(p.alice.ep, hers, want, &file.ReceiveOptions{Progress: func(received, size int64) {
			if first < 0 {
				first = received
			}
		}})
		call = p.calls(pull)
		if _, err := pull.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, hers, map[string][]byte{"a.bin": octets})
		if first < 2<<20 {
			t.Errorf("it went on at octet %d, want more than 2 MiB", first)
		}
		if got := p.sent(p.bob, packets); int64(got) > int64(len(octets))-first+4096 {
			t.Errorf("%d bytes were sent for the octets from %d on", got, first)
		}
	})
}

// A sender that knows what its peer has offers the rest, and a receiver that does not have what comes before
// refuses that (RFC 5547 section 8.3.1).
func TestRangeIsPushed(t *testing.T) {
	octets := content(1, 1<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		path := written(t, "a.bin", octets)
		push := func(start int64) (*file.Sender, error) {
			s := p.push(path, &file.SendOptions{Range: file.Range{Start: start}})
			call, err := p.alice.Invite(p.ctx, "sip:bob@192.0.2.2;transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{s}})
			if err == nil {
				err = s.Wait(p.ctx)
				p.hangup(call)
			}
			return s, err
		}
		if _, err := push(100_001); err == nil {
			t.Error("octets were taken of which the ones before are missing")
		}
		<-p.got
		breaksOff(p, path)
		if _, err := push(100_001); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		holds(t, inbox, map[string][]byte{"a.bin": octets})
		// The range counts in the file, and that of the message in what is sent (RFC 5547 section 6).
		if !p.said(p.alice, "a=file-range:100001-*") || !p.said(p.alice, "Byte-Range: 1-*/948576") {
			t.Error("Alice has not sent a message of the 948,576 octets from 100,001 on")
		}
	})
}

// The part that one peer has left is not for another one.
func TestPartsAreOfOnePeer(t *testing.T) {
	octets := content(1, 2<<20)
	inbox := root(t)
	opts := &file.ReceiveOptions{Peer: "alice"}
	story(t, func(p *place, ctx context.Context, inv *ua.Invitation) {
		takes(inbox, opts, 1)(p, ctx, inv)
	}, func(p *place) {
		path := written(t, "a.bin", octets)
		breaksOff(p, path)
		was := parts(t, inbox)
		opts.Peer = "mallory"
		push := p.push(path, nil)
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		if now := parts(t, inbox); len(now) != 1 || now[0] != was[0] {
			t.Errorf("parts of %d octets, want %d", now, was)
		}
		if p.said(p.bob, "a=file-range:") {
			t.Error("Mallory was told what Alice had sent")
		}
	})
}

// The same file twice at the same time is not written twice into one part.
func TestSameFileTwiceAtOnce(t *testing.T) {
	octets := content(1, 1<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 2), func(p *place) {
		path := written(t, "a.bin", octets)
		one, two := p.push(path, nil), p.push(path, nil)
		call := p.calls(one, two)
		for _, push := range []*file.Sender{one, two} {
			if err := push.Wait(p.ctx); err != nil {
				t.Error(err)
			}
			if r := <-p.got; r.err != nil {
				t.Error(r.err)
			}
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a.bin": octets, "a (2).bin": octets})
	})
}

// A receiver that was killed when every octet was there, but the file had not got its name yet, asks for the
// last one again: nothing else says that all are there.
func TestPartWithEveryOctet(t *testing.T) {
	octets := content(1, 2<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		path := written(t, "a.bin", octets)
		breaksOff(p, path)
		entries, err := os.ReadDir(inbox.Name())
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		if err := inbox.WriteFile(entries[0].Name(), octets, 0o600); err != nil {
			t.Fatal(err)
		}
		push := p.push(path, nil)
		call := p.calls(push)
		if err := push.Wait(p.ctx); err != nil {
			t.Error(err)
		}
		if r := <-p.got; r.err != nil {
			t.Error(r.err)
		}
		p.hangup(call)
		holds(t, inbox, map[string][]byte{"a.bin": octets})
		if !p.said(p.bob, "a=recvonly", "a=file-range:2097152-*") {
			t.Error("Bob has not asked for the last octet")
		}
	})
}

// A part that somebody has spoiled does no harm but that it is removed.
func TestSpoiledPart(t *testing.T) {
	octets := content(1, 2<<20)
	inbox := root(t)
	story(t, takes(inbox, nil, 1), func(p *place) {
		path := written(t, "a.bin", octets)
		breaksOff(p, path)
		entries, err := os.ReadDir(inbox.Name())
		if err != nil || len(entries) != 1 {
			t.Fatalf("%d entries, %v", len(entries), err)
		}
		f, err := inbox.OpenFile(entries[0].Name(), os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteAt([]byte("spoiled"), 1<<19) // behind what Alice sends until Bob has asked for the rest
		f.Close()
		for _, want := range []error{file.ErrOtherFile, nil} {
			push := p.push(path, nil)
			call := p.calls(push)
			push.Wait(p.ctx)
			if r := <-p.got; !errors.Is(r.err, want) {
				t.Errorf("Wait: %v, want %v", r.err, want)
			}
			p.hangup(call)
		}
		holds(t, inbox, map[string][]byte{"a.bin": octets})
	})
}
