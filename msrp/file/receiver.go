package file

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// ReceiveOptions are the options of Receive and Pull. nil will do.
type ReceiveOptions struct {
	// Accept is asked about each file that a peer offers, whose description is all that the peer
	// says; an error refuses it. The disposition is a wish: nothing here shows or opens a file. nil
	// takes every file.
	Accept func(ctx context.Context, offered Description) error

	// MaxSize is how many octets a file may have, whatever its peer says. 0 means 1 GiB.
	MaxSize int64

	// Progress is told how many octets of the file are there, of how many, 0 if that is not known, when a
	// transfer begins, with those that are not sent again, and then at least every 64 KiB; by the goroutine
	// that writes them, and is not to wait for the call. nil: nobody is told.
	Progress func(received, size int64)

	// Peer is who sends, as far as the program knows for sure. A part of a file that was left
	// by one peer is not given to another one to go on with. "" has one part for all who send a file of
	// that hash: a liar among them can spoil it, and the file comes from the beginning then.
	Peer string

	// Session has what the session is to be, apart from what it takes: TLS, CEMA.
	Session msrp.SessionConfig
}

// A Receiver is the side of a call that receives a file (RFC 5547 sections 8.2.2 and 8.3.1): a ua.Stream.
// Its methods other than Wait, Resume and Description are for the call.
//
// What comes is written to a part, whose name begins with a dot and ends with ".part". It gets its own name
// when all is there and has the hash that was said. A part whose transfer was broken off stays where it is
// if the hash of the file is known, also when the program was killed, and is at once for another Receiver,
// though the call may go on. Where files
// cannot be locked, as on Windows, none is gone on with. Parts are never removed for their age, as nobody
// knows whether the file is sent again: a program removes those of ".*.part" that were not modified
// for longer than it wants to wait, when it starts, say, and none that a Receiver is writing.
type Receiver struct {
	stream
	opts ReceiveOptions
	dir  *os.Root
	want Selector // of a pull
	pull bool

	// Under the lock of the stream.
	part     *part
	resuming bool
	asked    bool   // Resume has returned, or Wait was called
	path     string // when it is there
}

// Receive returns a stream that takes a file that a peer sends, into a directory, which is to be open
// as long as the stream is.
func Receive(e *msrp.Endpoint, dir *os.Root, opts *ReceiveOptions) *Receiver {
	r := &Receiver{dir: dir}
	if opts != nil {
		r.opts = *opts
	}
	if r.opts.MaxSize <= 0 {
		r.opts.MaxSize = 1 << 30
	}
	cfg := r.opts.Session
	cfg.MaxSize = min(r.opts.MaxSize, math.MaxInt64-slack) + slack
	r.init(e, cfg, r.receive)
	r.ready, r.leave = r.open, r.leavePart
	return r
}

// Pull returns a stream that asks a peer for a file: by its hash, or else by name, type and size as far as they
// are known. If there is a part of a file of that hash, the rest is asked for. Accept is not called.
func Pull(e *msrp.Endpoint, dir *os.Root, want Selector, opts *ReceiveOptions) *Receiver {
	r := Receive(e, dir, opts)
	r.want, r.pull = want, true
	return r
}

// Offer asks for the file, or for the rest of it.
func (r *Receiver) Offer(ctx context.Context) (*sdp.Media, error) {
	r.dropNext()
	r.mu.Lock()
	t, resuming := r.current, r.resuming
	r.mu.Unlock()
	switch {
	case t == nil && !r.pull:
		return nil, fmt.Errorf("file: nobody has offered a file yet")
	case t == nil:
		return r.ask(ctx, r.want)
	case resuming && !r.isThere():
		return r.ask(ctx, t.file.Selector)
	}
	return r.offer(ctx, t)
}

// ask offers to receive what is missing of a file, under a new identifier (RFC 5547 section 8.1).
func (r *Receiver) ask(ctx context.Context, want Selector) (*sdp.Media, error) {
	d := Description{Direction: sdp.RecvOnly, Selector: want, ID: newID()}
	p, octets, err := r.measure(want)
	if err != nil {
		return nil, err
	}
	if octets > 0 {
		// Before the peer can send, who would have to wait for that, and may hang up when all is sent.
		// What is wrong with the disk shows again in open.
		if p.hash(ctx, octets); ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		d.Range = Range{Start: octets + 1}
	}
	t := r.propose(d, d)
	t.start, t.there, t.rest = octets, octets, r.current != t
	return r.offer(ctx, t)
}

// Answer takes a section that offers a file, and refuses others.
func (r *Receiver) Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error) {
	kind, offered, err := Read(remote, r.known())
	switch t := r.named(offered.ID); {
	case err != nil && remote.Direction == sdp.SendOnly, kind == KindSame && t == nil:
		return refuse(remote), nil
	case kind == KindSame:
		return r.answer(ctx, t, remote)
	case kind != KindPush || r.pull && r.current == nil:
		return nil, nil
	}
	if err := r.accept(ctx, offered); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return refuse(remote), nil
	}
	_, there, err := r.measure(offered.Selector)
	if err != nil {
		return nil, err
	}
	start := max(offered.Range.Start, 1) - 1
	if start > there {
		r.mu.Lock()
		r.leaveIdle()
		r.mu.Unlock()
		return refuse(remote), nil // octets before these are missing
	}
	t := r.propose(offered.acceptPush(), offered)
	t.start, t.there = start, there
	return r.answer(ctx, t, remote)
}

// accept returns why a file that is offered is not taken.
func (r *Receiver) accept(ctx context.Context, d Description) error {
	switch size := d.Selector.Size; {
	case len(r.past) >= maxTransfers:
		return ErrRefused
	case size > r.opts.MaxSize:
		return frame.StatusStop
	case d.Range.Stop != 0 && d.Range.Stop != size:
		return ErrRange // and the file would never be all there
	case r.isBusyWithout(d.Selector):
		return ErrOtherFile // before the one under way is there
	case r.opts.Accept == nil:
		return nil
	}
	return r.opts.Accept(ctx, d)
}

// measure returns the part of a file and how many octets of it are there, nil and 0 if its hash is
// not known. A transfer may be writing more.
func (r *Receiver) measure(s Selector) (*part, int64, error) {
	if partKey(s, r.opts.Peer) == "" {
		return nil, 0, nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	p, err := r.partOf(s)
	if err != nil {
		return nil, 0, err
	}
	return p, p.octets(s.Size), nil
}

// partOf returns the part of a file, which one transfer has from the other. The lock is held.
func (r *Receiver) partOf(s Selector) (*part, error) {
	if r.isPartOf(s) {
		return r.part, nil
	}
	r.leavePart()
	var err error
	r.part, err = openPart(r.dir, partKey(s, r.opts.Peer))
	return r.part, err
}

// leavePart leaves the part to other Receivers, if there is one. The lock is held.
func (r *Receiver) leavePart() {
	if r.part != nil {
		r.part.leave()
		r.part = nil
	}
}

// leaveIdle leaves a part that was measured, and that nobody writes. The lock is held.
func (r *Receiver) leaveIdle() {
	if r.next == nil && (r.current == nil || r.current.over) {
		r.leavePart()
	}
}

// isBusyWithout reports whether another file is on its way.
func (r *Receiver) isBusyWithout(s Selector) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.current
	return t != nil && t.done != nil && !t.over && !r.isPartOf(s)
}

// isPartOf reports whether the part that is open is of this file. The lock is held.
func (r *Receiver) isPartOf(s Selector) bool {
	key := partKey(s, r.opts.Peer)
	return key != "" && r.part != nil && r.part.key == key
}

// open has the transfer write behind what is there, now that the one before has ended: it may have
// finished the file meanwhile, or removed it. In an answer of ours that is before the peer can send.
func (r *Receiver) open(ctx context.Context, t *transfer) error {
	if t.rest && r.isThere() {
		return nil
	}
	r.mu.Lock()
	p, err := r.partOf(t.file.Selector)
	r.mu.Unlock()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(t.ctx, func() { cancel(context.Cause(t.ctx)) })()
	if t.there = p.octets(t.file.Selector.Size); t.there > t.start { // for Resume
		if err := p.hash(ctx, t.there); err != nil {
			return err
		}
	}
	t.to, err = p.write(ctx, t.start)
	return err
}

// Resume has a peer that sends the whole file send only what is missing, where a part of it was left by
// a transfer that was broken off; or has the rest sent when the connection is lost. It asks for
// that in an offer, which takes the place of the transfer as it is (RFC 5547 section 8.1), for to an offer of the
// whole file there is no answer but yes and no. renegotiate is the Renegotiate of the call. Where nothing can be
// gained it does nothing.
//
// It is to be called as soon as the call is answered: of a file that there is a part of nothing is read before
// Resume has returned or Wait is called, so that it is not sent twice, and the peer is told to stop after 20 seconds. Before, while the call is answered,
// what is there was hashed, which takes some seconds for each GiB.
//
// An error is that of renegotiate. The transfer goes on as it was then.
func (r *Receiver) Resume(ctx context.Context, renegotiate func(context.Context) error) error {
	r.mu.Lock()
	gain := r.gains()
	r.resuming, r.asked = gain, true
	r.changed.Broadcast()
	r.mu.Unlock()
	var err error
	if gain {
		err = renegotiate(ctx)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.resuming = false
	r.leaveIdle()
	r.changed.Broadcast()
	return err
}

// gains reports whether something is gained by asking for the rest. If the transfer is over the part is opened
// again for that, which another Receiver may be writing meanwhile. The lock is held.
func (r *Receiver) gains() bool {
	t := r.current
	switch {
	case t == nil || t.done == nil:
		return false
	case !t.over:
		return r.isPartOf(t.file.Selector) && t.there > t.start
	case r.path != "" || isOther(t.err) || partKey(t.file.Selector, r.opts.Peer) == "":
		return false
	}
	_, err := r.partOf(t.file.Selector)
	return err == nil && r.isPartOf(t.file.Selector)
}

// hold has a transfer wait that begins before octets that are there, until it is known whether the rest is
// asked for.
func (r *Receiver) hold(t *transfer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for t.there > t.start && (r.resuming || !r.asked) && t.ctx.Err() == nil {
		r.changed.Wait()
	}
}

// isThere reports whether the file is there, which may be by a transfer that was to be replaced.
func (r *Receiver) isThere() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.path != ""
}

// Wait waits until the file is there and is what was said of it, and returns its path in the directory.
// It is for the sender to hang up. When ctx ends the transfer is aborted.
//
// The error is ErrOtherFile if size or hash are others than was said, and then the file is removed;
// frame.StatusStop if it is larger than MaxSize; msrp.ErrAborted if the sender has given up; msrp.ErrLost; ErrEnded if the call was
// over before; ErrRange if octets are gone that the peer is not to send again; ErrRefused; the error of ctx, or
// that of the disk.
func (r *Receiver) Wait(ctx context.Context) (path string, err error) {
	r.mu.Lock()
	r.asked = true
	r.changed.Broadcast()
	r.mu.Unlock()
	if err := r.wait(ctx); err != nil {
		name := r.Description().Selector.Name
		return "", fmt.Errorf("receive %s: %w", SafeName(name), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return filepath.Join(r.dir.Name(), r.path), nil
}
