package msrp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goparley/parley/msrp/frame"
)

// ErrUnproved says that a relay has not proved that it knows the password, or not the right one.
var ErrUnproved = errors.New("msrp: the relay has not proved that it knows the password")

const (
	maxAuth    = 8                    // AUTH requests for one path at a relay
	maxExpires = 365 * 24 * time.Hour // more is as good as for ever
)

// authenticate gets a URI from the relay (RFC 4976 section 5.1), which the relays of via lead to. expires is for
// how long; 0: the relay does not say. An error that the relay has answered with is its frame.Status,
// and so is a password that is wrong: frame.StatusUnauthorized.
func (r *relay) authenticate(ctx context.Context, c *connection, from frame.URI, via frame.Path) (use frame.Path, expires time.Duration, err error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, 0, context.Cause(ctx)
	}
	to := append(slices.Clone(via), r.uri)
	wish := int64((r.Expires + time.Second - 1) / time.Second)
	var last frame.Status
	for range maxAuth {
		// The digest is of the URI that the request is for, the rightmost (RFC 4976 section 9.1).
		credentials, err := r.client.Authorize("AUTH", r.uri.String())
		if err != nil {
			return nil, 0, err
		}
		h := &frame.Head{Method: frame.AUTH, To: to.String(), From: from.String()}
		if wish > 0 {
			h.Fields = append(h.Fields, frame.Field{Name: "Expires", Value: strconv.FormatInt(wish, 10)})
		}
		if credentials != "" {
			h.Fields = append(h.Fields, frame.Field{Name: "Authorization", Value: credentials})
		}
		resp, err := c.ask(ctx, h)
		if err != nil {
			return nil, 0, err
		}
		switch last = resp.Status; last {
		case frame.StatusUnauthorized:
			if err := r.client.Challenged(values(resp, "WWW-Authenticate")); err != nil {
				return nil, 0, fmt.Errorf("%w: %w", last, err)
			}
			continue
		case frame.StatusOK:
			return r.accepted(resp)
		}
		r.client.Verify("") // what was sent has had its answer
		other, ok := bounded(wish, resp)
		if last != frame.StatusOutOfBounds || !ok {
			return nil, 0, last
		}
		wish = other
	}
	return nil, 0, last
}

// accepted reads the answer of a relay that lets us in.
func (r *relay) accepted(resp *frame.Head) (use frame.Path, expires time.Duration, err error) {
	info, _ := resp.Get("Authentication-Info")
	proved, err := r.client.Verify(info)
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("%w: %w", ErrUnproved, err)
	case !proved && r.RequireProof:
		return nil, 0, ErrUnproved
	}
	text, _ := resp.Get("Use-Path")
	if use, err = frame.ParsePath(text); err != nil {
		return nil, 0, fmt.Errorf("Use-Path: %w", err)
	}
	for _, u := range use {
		if u.Port == 0 || u.SessionID == "" { // RFC 4976 section 4.2
			return nil, 0, fmt.Errorf("Use-Path: %w", &frame.SyntaxError{Where: "URI", Text: u.String(), Msg: "without a port, or of no session"})
		}
	}
	return use, seconds(resp, "Expires"), nil
}

// bounded returns the Expires to ask for after a 423 (RFC 4976 section 6.3), 0 for none if the answer does not
// say which would do.
func bounded(wish int64, resp *frame.Head) (other int64, ok bool) {
	least, most := int64(seconds(resp, "Min-Expires")/time.Second), int64(seconds(resp, "Max-Expires")/time.Second)
	switch {
	case least > 0 && wish < least:
		return least, wish > 0
	case most > 0 && wish > most:
		return most, true
	}
	return 0, wish > 0
}

// seconds reads a field with a number of seconds; 0 if it has none.
func seconds(h *frame.Head, name string) time.Duration {
	value, _ := h.Get(name)
	n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0
	}
	return time.Duration(min(n, uint64(maxExpires/time.Second))) * time.Second
}

// values returns all fields with a name.
func values(h *frame.Head, name string) (list []string) {
	for _, f := range h.Fields {
		if strings.EqualFold(f.Name, name) {
			list = append(list, f.Value)
		}
	}
	return list
}
