package resolve

import (
	"context"
	"fmt"

	"github.com/goparley/parley/sip"
)

// ResponseTargets returns where to send a response by its topmost Via, when the
// connection that the request came by is gone or its source does not take it
// (RFC 3263 section 5): to the host and port of the sent-by, with the transport
// of the Via. A host name without a port is a service with SRV records. Errors
// are those of Targets; the parameters of the Via are not looked at.
func (c *Client) ResponseTargets(ctx context.Context, via sip.Via) ([]Target, error) {
	s := search{c: c, ctx: ctx}
	defer s.end()
	targets, err := s.forResponse(via)
	if err != nil {
		return nil, fmt.Errorf("resolve %s %s: %w", via.Transport, via.SentBy(), err)
	}
	return c.failures.last(targets), nil
}

func (s *search) forResponse(via sip.Via) ([]Target, error) {
	tr := transportNamed(via.Transport)
	if !s.c.speaks(tr) {
		return nil, ErrTransport
	}
	addr, err := s.read(via.Host, via.Port)
	switch {
	case err != nil:
		return nil, err
	case addr.IsValid():
		return []Target{tr.target(addr, via.Port, s.host)}, nil
	case via.Port != 0:
		return s.addresses([]place{{tr, s.host, uint16(via.Port)}})
	}
	return s.byService([]*transport{tr}, tr)
}
