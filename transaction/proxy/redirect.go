package proxy

import (
	"context"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
)

// maxRedirects bounds the targets that redirections add to one request.
const maxRedirects = 20

// redirect adds the Contacts of a 3xx to the targets (RFC 3261 section 16.7 step
// 4). It returns the response with those that are left to the client, and nil for
// a response that redirects to nothing new. It does the same for a 416 to a tel
// URI, which is tried as a sip URI at the same place.
func (f *forking) redirect(n news) (*sip.Response, *further) {
	switch {
	case n.resp == nil:
		return nil, nil
	case n.status == sip.StatusUnsupportedURIScheme:
		return f.redirectTel(n)
	case n.status < 300 || n.status >= 400:
		return n.resp, nil
	}
	var left []sip.Contact
	var added []Target
	for contact, err := range sip.All[sip.Contact](n.resp) {
		if err != nil {
			continue
		}
		t := Target{URI: contact.URI, Q: contact.Q(), Wait: f.left(n.branch)}
		if !f.mayTry(t) || slices.ContainsFunc(added, t.same) || f.added+len(added) == maxRedirects {
			left = append(left, contact)
			continue
		}
		added = append(added, t)
	}
	if added == nil {
		return n.resp, nil
	}
	f.add(added)
	resp := n.resp
	if left != nil {
		resp = resp.With(sip.List(left...))
	}
	return resp, &further{turns: turnsOf(added), whole: left == nil}
}

// mayTry reports whether a redirection may be followed: to where the request has
// not been, and not from sips to sip.
func (f *forking) mayTry(t Target) bool {
	if t.URI.Scheme != "sip" && t.URI.Scheme != "sips" || checkTarget(f.req.URI(), t.URI) != nil {
		return false
	}
	return !f.req.URI().Equal(t.URI) && !slices.ContainsFunc(f.targets, func(old Target) bool { return old.URI.Equal(t.URI) })
}

// redirectTel tries a number once more as a sip URI of the server that does not
// know tel URIs.
func (f *forking) redirectTel(n news) (*sip.Response, *further) {
	old := f.targets[n.branch]
	if old.URI.Scheme != "tel" || f.req.URI().Scheme == "tel" || len(old.Route) == 0 {
		return n.resp, nil
	}
	uri := old.URI.SIP(old.Route[0].URI.Host)
	uri.Scheme = f.req.URI().Scheme
	t := Target{URI: uri, Route: old.Route, Wait: f.left(n.branch)}
	if !f.mayTry(t) || f.added == maxRedirects {
		return n.resp, nil
	}
	f.add([]Target{t})
	return n.resp, &further{turns: []int{0}, whole: true}
}

// add makes room for further branches.
func (f *forking) add(targets []Target) {
	f.added += len(targets)
	f.targets = append(slices.Clip(f.targets), targets...)
	f.finals = append(f.finals, make([]*sip.Response, len(targets))...)
	f.cancels = append(f.cancels, make([]context.CancelCauseFunc, len(targets))...)
	if f.ends != nil {
		f.ends = append(f.ends, make([]time.Time, len(targets))...)
	}
	f.setClock()
}
