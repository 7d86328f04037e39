package ua

import (
	"context"
	"net/netip"

	"github.com/goparley/parley/sdp"
)

// Stream is one m= section of a session: voice, a chat, a file, a game. The
// agent calls its methods, never two at once for one stream. A stream belongs
// to one call.
type Stream interface {
	// Offer returns what to offer. In a later offer, for a hold say, it
	// describes the stream as it is then.
	Offer(ctx context.Context) (*sdp.Media, error)

	// Answer returns what to accept of an offered section; nil refuses it. An
	// incoming call asks its streams one after the other for each section, so
	// refusing what one does not know is the usual thing.
	Answer(ctx context.Context, remote *sdp.Media) (*sdp.Media, error)

	// Update says what both sides have agreed on: first when the call is
	// answered, or early media comes, then whenever that changes.
	Update(ctx context.Context, local, remote *sdp.Media) error

	// Close ends the stream. It is called once, when its call is over, or did
	// not come about.
	Close() error
}

// addressUser is a Stream that wants to know at which of our addresses the
// peer reaches us. It is told before the first Offer or Answer.
type addressUser interface {
	UseAddress(netip.Addr)
}
