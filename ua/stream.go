package ua

import (
	"context"
	"errors"
	"net/netip"

	"github.com/goparley/parley/sdp"
)

// Stream is one m= section of a session: voice, a chat, a file, a game. The
// agent calls its methods, never two at once for one stream, Update only after
// an Offer or an Answer, Close exactly once and nothing after it. A stream
// belongs to one call.
//
// A method may take its time: it holds up the offers and answers of its own
// call and nothing else. Its ctx ends when the call does, and it should return
// then. A stream that wants to end the call does so from another goroutine:
// Hangup waits until the streams are closed.
//
// A panic in a method goes to whoever set it off, Invite, Answer, Hold or Resume;
// in a change by the peer, in Close, or when nobody waits any more, it is logged.
// A call that is being set up ends by it, and all its streams are closed.
type Stream interface {
	// Offer returns what to offer. In a later offer, for a hold say, it
	// describes the stream as it is then; nil ends the section.
	Offer(ctx context.Context) (*sdp.Media, error)

	// Answer returns what to accept of an offered section; nil refuses it. An
	// incoming call asks its streams one after the other for each section, so
	// refusing what one does not know is the usual thing.
	Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error)

	// Update says what both sides have agreed on: first when the call is
	// answered, or early media comes, then whenever that changes. A Port of 0
	// says that the section is not in use any more; a later Update may bring
	// it back. The error of the first Update ends the call; after one for early
	// media, which may be that of a phone that does not answer, the stream is
	// told again when the call is answered, and then that is the first.
	Update(ctx context.Context, local, remote *sdp.Media) error

	// Close ends the stream. It is called when its call is over, or did not
	// come about.
	Close() error
}

var errNilStream = errors.New("a stream is nil")

// addressUser is a Stream that wants to know at which of our addresses the
// peer reaches us. It is told before the first Offer or Answer.
type addressUser interface {
	UseAddress(netip.Addr)
}
