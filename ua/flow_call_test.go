package ua_test

import (
	"errors"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// What people do in many stories that are about something else: they call and talk, one
// puts the other on hold, and somebody is transferred.

// ring has the user of one phone call that of another one, which rings. Options may be nil.
func ring(from, to *phone, opts *ua.InviteOptions) (*placed, *invited) {
	from.f.Helper()
	from.f.Note(from.who.Name + " calls " + to.who.Name + ".")
	call := from.placeWith(to.who.AOR, opts)
	in := to.invited()
	in.ring()
	return call, in
}

// hears returns options of a call, and what the caller hears: that it rings, by a 180 that may be
// lost, and comes again with the INVITE.
func hears() (opts *ua.InviteOptions, rings <-chan *ua.Call) {
	heard := make(chan *ua.Call, 10)
	return &ua.InviteOptions{OnProvisional: func(c *ua.Call, _ *sip.Response) { heard <- c }}, heard
}

// pickUp has somebody answer a phone that has begun to ring, after two seconds, and both
// talk for ten.
func pickUp(call *placed, in *invited, name string) (ours, theirs *ua.Call) {
	in.f.Helper()
	in.f.Pass(2 * time.Second)
	in.f.Note(name + " answers.")
	theirs, ours = in.answer(), call.answered()
	in.f.Pass(10 * time.Second)
	return ours, theirs
}

// establish is both: a call with a 180 and a 200, which lasts.
func establish(from, to *phone) (ours, theirs *ua.Call) {
	from.f.Helper()
	call, in := ring(from, to, nil)
	return pickUp(call, in, to.who.Name)
}

// connect has one phone call another one, which answers at once.
func connect(from, to *phone, header ...sip.Edit) (ours, theirs *ua.Call) {
	from.f.Helper()
	call := from.placeWith(to.who.AOR, &ua.InviteOptions{Header: header})
	theirs = to.invited().answer()
	return call.answered(), theirs
}

// hold puts the other side of a call on hold.
func hold(f *flow.Flow, call *ua.Call) {
	f.Helper()
	if err := call.Hold(f.Context()); err != nil {
		f.Errorf("Hold() = %v", err)
	}
}

// resume takes it off hold.
func resume(f *flow.Flow, call *ua.Call) {
	f.Helper()
	if err := call.Resume(f.Context()); err != nil {
		f.Errorf("Resume() = %v", err)
	}
}

// bye has one side end a call, whatever the other one does just then.
func bye(f *flow.Flow, call *ua.Call) {
	f.Helper()
	if err := call.Hangup(f.Context()); err != nil {
		f.Errorf("Hangup() = %v", err)
	}
}

// hangup has one side end a call, and the other side hear of it.
func hangup(f *flow.Flow, one, other *ua.Call) {
	f.Helper()
	bye(f, one)
	<-other.Done()
	if err := one.Err(); err != nil {
		f.Errorf("Err() = %v at the side that hangs up, want nil", err)
	}
	if err := other.Err(); !errors.Is(err, ua.ErrHungUp) {
		f.Errorf("Err() = %v at the other side, want ErrHungUp", err)
	}
}

// refer has somebody send a REFER, and what it is for go on while others act. It returns
// how that ends.
func refer(send func() error) <-chan error {
	sent := make(chan error, 1)
	go func() { sent <- send() }() // ends with the transfer
	return sent
}

// transferEnds waits for the end of a transfer, which is to fail with an error, or, with
// nil, to work.
func transferEnds(f *flow.Flow, sent <-chan error, want error) {
	f.Helper()
	if err := <-sent; !errors.Is(err, want) {
		f.Errorf("the transfer: %v, want %v", err, want)
	}
}

// inPlaceOf checks that a call that comes is to take the place of another one.
func (in *invited) inPlaceOf(call *ua.Call) {
	in.f.Helper()
	if in.Replaces() != call {
		in.f.Error("the call is not in the place of the one that it is to replace")
	}
}

// replaced checks that another call has taken the place of one, at the side that goes and at
// the other.
func replaced(f *flow.Flow, ours, theirs *ua.Call) {
	f.Helper()
	<-ours.Done()
	<-theirs.Done()
	if err := theirs.Err(); !errors.Is(err, ua.ErrReplaced) {
		f.Errorf("Err() = %v, want ErrReplaced", err)
	}
}

// establishDialog has one of package dialog call, be answered, and send its ACK.
func establishDialog(f *flow.Flow, l *dialog.Layer, req *sip.Request, provisional func(*dialog.Session, *sip.Response)) *dialog.Session {
	f.Helper()
	s, resp, err := l.Invite(f.Context(), req, provisional)
	if err != nil || s == nil {
		f.Fatalf("Invite() = %v, %v, want 200", resp, err)
	}
	if err := s.Ack(f.Context()); err != nil {
		f.Error(err)
	}
	return s
}

// goodbye has both talk for ten seconds, and Alice, who is one of package dialog, hang up.
func goodbye(f *flow.Flow, alice *dialog.Session, bob interface{ Done() <-chan struct{} }) {
	f.Helper()
	f.Pass(10 * time.Second)
	f.Note("Alice hangs up.")
	if err := alice.Bye(f.Context()); err != nil {
		f.Errorf("Bye() = %v", err)
	}
	<-bob.Done()
}
