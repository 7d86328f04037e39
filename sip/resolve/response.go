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
	targets, err := c.forResponse(ctx, via)
	if err != nil {
		return nil, fmt.Errorf("resolve %s %s: %w", via.Transport, via.SentBy(), err)
	}
	return c.failures.last(targets), nil
}

func (c *Client) forResponse(ctx context.Context, via sip.Via) ([]Target, error) {
	tr := transportNamed(via.Transport)
	if !c.speaks(tr) {
		return nil, ErrTransport
	}
	host, addr, err := readHost(via.Host, via.Port)
	switch {
	case err != nil:
		return nil, err
	case addr.IsValid():
		return []Target{tr.target(addr, via.Port, host)}, nil
	case via.Port != 0:
		return c.addresses(ctx, host, []place{{tr, host, uint16(via.Port)}})
	}
	return c.byService(ctx, host, []*transport{tr}, tr)
}
