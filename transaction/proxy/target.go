package proxy

import (
	"slices"
	"time"

	"github.com/goparley/parley/sip"
)

// Target is a place to forward a request to: the Contact of a binding, or the
// address of a server.
type Target struct {
	// URI becomes the Request-URI. The zero URI leaves that as it is.
	URI sip.URI

	// Q is the preference (RFC 3261 section 16.6). Targets with the highest are
	// tried first, and at once; those with the next lower one when all of these
	// have failed. Nothing but the order of values counts.
	Q float64

	// Route goes in front of the Route of the request: the Path of a binding
	// (RFC 3327 section 5.4). Entries of ours at its beginning are taken off
	// again, and the flow that they name is what the request is sent by (RFC
	// 5626 section 5.3), so that a binding of this very proxy is a target like
	// any other. A first one without lr is a strict router: its URI becomes the
	// Request-URI, and that goes to the end of the Route (RFC 3261 section 16.6
	// step 6).
	Route []sip.Route

	// Instance is the user agent that the target leads to, "" if that is not
	// known. Of the targets of one instance one is tried at a time, in the order
	// given within a Q: the next one if that fails with 430 or 408, and none
	// after any other response (RFC 5626 section 7).
	Instance string

	// Wait is how long the target has for its final response: when it is over
	// the branch is cancelled, and counts as 408, so that what comes next is
	// tried while the caller is still there (RFC 3261 section 16.6). 0 is no
	// bound but timer C.
	Wait time.Duration
}

// distinct returns the targets without those that are there twice (RFC 3261
// section 16.5). Flows of one user agent may have the same URI.
func distinct(targets []Target) []Target {
	if len(targets) < 2 {
		return targets
	}
	out := make([]Target, 0, len(targets))
	for _, t := range targets {
		if !slices.ContainsFunc(out, t.same) {
			out = append(out, t)
		}
	}
	return out
}

// same reports whether another target is the same place by the same way.
func (t Target) same(other Target) bool {
	return t.URI.Equal(other.URI) && slices.EqualFunc(t.Route, other.Route, func(a, b sip.Route) bool {
		return a.URI.String() == b.URI.String()
	})
}
