package ua

import (
	"context"
	"errors"
	"net/netip"
	"reflect"
	"slices"

	"github.com/goparley/parley/sdp"
	"github.com/goparley/parley/sip"
)

// Stream is one m= section of a session: voice, a chat, a file, a game. The
// agent calls its methods, never two at once for one stream, Update only after
// an Offer or an Answer, Close exactly once and nothing after it. A stream
// belongs to one call.
//
// A method may take its time: it holds up the offers and answers of its own
// call and nothing else. Its ctx ends when the call does, and it should return
// then. A stream that wants to end the call, or to change it, does so from another
// goroutine: Hangup waits until the streams are closed, and Hold for its turn.
//
// A panic in a method goes to whoever set it off, Invite, Answer, Hold or Resume;
// in a change by the peer or a refresh, in NetworkChanged, in Close, or when nobody waits any
// more, it is logged.
// A call that is being set up ends by it, and all its streams are closed.
type Stream interface {
	// Offer returns what to offer. In a later offer, for a hold say, it
	// describes the stream as it is then; nil ends the section.
	Offer(ctx context.Context) (*sdp.Media, error)

	// Answer returns what to accept of an offered section; nil refuses it. An
	// incoming call asks its streams one after the other for each section, so
	// refusing what one does not know is the usual thing. One with a Port of 0
	// refuses what one does know: nobody else is asked, and its attributes go into
	// the answer.
	Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error)

	// Update says what both sides have agreed on: first when the call is
	// answered, or early media comes, then whenever that changes. A Port of 0
	// says that the section is not in use any more; a later Update may bring
	// it back. The error of the first Update ends the call; after one for early
	// media, which may be that of a phone that does not answer, the stream is
	// told again when the call is answered, and then that is the first. The ctx of
	// early media ends when the call is answered, too, and that is an error like any.
	Update(ctx context.Context, local, remote *sdp.Media) error

	// Close ends the stream. It is called when its call is over, or did not
	// come about, and before that when Remove has ended it, when Add or OnStream
	// came to nothing, or when its section, which was not in use, went to another.
	Close() error
}

// Forker is a Stream that can serve several branches of a call at once, which ring at the
// same time and may each have early media. The agent gives the stream itself to the first
// of them, and asks it for another one for each that follows. A stream that is no Forker
// serves them in turn: it is told what the latest has described.
type Forker interface {
	// Fork returns a stream for another branch that answers the offer that this one
	// has made. It is closed with its branch.
	Fork(ctx context.Context) (Stream, error)
}

var (
	errNilStream = errors.New("a stream is nil")
	errSame      = errors.New("the call has this stream already")
)

// checkStreams says what is wrong with those that a call is to have.
func checkStreams(streams []Stream) error {
	for i, s := range streams {
		switch {
		case s == nil:
			return errNilStream
		case has(streams[:i], s):
			return errSame
		}
	}
	return nil
}

// has reports whether a stream is one of several.
func has(streams []Stream, s Stream) bool {
	return slices.ContainsFunc(streams, func(other Stream) bool { return same(s, other) })
}

// same reports whether two streams are one. Those whose values cannot be compared are not.
func same(s, other Stream) bool { return reflect.ValueOf(s).Comparable() && s == other }

// addressUser is a Stream that wants to know at which of our addresses the
// peer reaches us. It is told before the first Offer or Answer, and before an Offer
// when that has changed.
type addressUser interface {
	UseAddress(netip.Addr)
}

// refusalUser is a Stream that wants to know that the peer has refused its section, which
// Update does not tell of one that was never in use. Another phone may take it after early media.
type refusalUser interface {
	Refused()
}

// attacher is a Stream whose offers may refer to parts of the body beside the description, by a
// cid URL that is the value of an attribute: a file to its icon (RFC 5547 section 8.8). It is asked
// for them each time that an offer goes into a request, and those go that the offer refers to. The peer
// may have to do without, if it takes no multipart, or gets the offer in a response.
type attacher interface {
	Parts() []*sip.Part
}
