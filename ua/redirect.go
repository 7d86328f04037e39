package ua

import (
	"slices"

	"github.com/goparley/parley/sip"
)

// defaultRedirects is how many places a call goes to that is redirected.
const defaultRedirects = 5

// redirects are the places that a call is sent to by refusals of 300 to 399 (RFC 3261
// section 8.1.3.4): a queue, with those of a later refusal in front, by preference. None is
// tried twice, so that a loop ends.
type redirects struct {
	req     *sip.Request
	seq     uint32 // of the last one
	left    int
	tried   []place
	queue   []place
	history *history // nil: not written
	data    bool     // User-to-User of the places is passed on
}

func newRedirects(req *sip.Request, most int) *redirects {
	if most == 0 {
		most = defaultRedirects
	}
	return &redirects{req: req, seq: req.CSeq().Seq, left: most, tried: []place{{uri: req.URI()}}}
}

// first returns the INVITE for the place that was asked for.
func (r *redirects) first() *sip.Request { return r.history.send(r.req, place{}) }

// maxNumbers is more than what one INVITE takes of numbers: a further one each time that it
// is sent again, with credentials or a longer session interval.
const maxNumbers = 32

// follow takes what became of an INVITE and reports whether there is another place to try.
// err is nil if it was refused. To whom it was redirected need not be there: then it is the
// turn of the next one (section 8.1.3.4).
func (r *redirects) follow(resp *sip.Response, err error) bool {
	redirected := len(r.tried) > 1
	r.history.over(resp, err)
	if resp != nil {
		r.seq = max(r.seq, resp.CSeq().Seq)
	} else {
		r.seq += maxNumbers
	}
	switch {
	case err != nil:
		if !redirected {
			return false
		}
	case resp.Status() == sip.StatusAlternativeService, resp.Status() >= 600:
		return false // another service is offered, or it is what everybody says
	case resp.Status() >= 300 && resp.Status() < 400:
		r.queue = append(r.targets(resp), r.queue...)
	case !redirected:
		return false
	}
	return r.left > 0 && len(r.queue) > 0
}

// targets returns the places that a refusal names and that were not tried, the most
// preferred ones first (RFC 3261 section 20.10). A call that was to be secure stays so.
func (r *redirects) targets(resp *sip.Response) (targets []place) {
	var all []place
	for c, err := range sip.All[sip.Contact](resp) {
		if err != nil || c.Star || c.URI.Scheme != "sips" && (c.URI.Scheme != "sip" || r.req.URI().Scheme == "sips") {
			continue
		}
		p := newPlace(c)
		p.proxy = resp.Status() == sip.StatusUseProxy
		if r.history != nil {
			p.by = r.history.count
		}
		if all = append(all, p); len(all) == maxContacts {
			break
		}
	}
	slices.SortStableFunc(all, byQ)
	for _, p := range all {
		if !slices.ContainsFunc(r.tried, p.equal) && !slices.ContainsFunc(r.queue, p.equal) &&
			!slices.ContainsFunc(targets, p.equal) && len(targets) < maxTargets {
			targets = append(targets, p)
		}
	}
	return targets
}

// Bounds of one refusal: what of it is looked at, and the places that are kept.
const (
	maxContacts = 128
	maxTargets  = 16
)

// next returns the INVITE for the next place: the same call, one number higher. Header
// fields in its URI are not followed; RFC 3261 section 19.1.5 says how unsafe they are.
// Only User-to-User is, if the program knows what that is.
func (r *redirects) next() *sip.Request {
	to := r.queue[0]
	r.queue = r.queue[1:]
	r.tried = append(r.tried, to)
	r.left--
	r.seq++
	req := r.req.With(sip.CSeq{Seq: r.seq, Method: sip.INVITE})
	uri := to.uri
	uri.Headers = ""
	if to.proxy { // RFC 3261 section 21.3.4: it passes the same INVITE on
		uri.Params = uri.Params.With("lr", "").Without("method")
		// It is a proxy of whoever says so, and not ours (RFC 3325 section 6).
		return req.With(sip.Push(sip.Route{URI: uri}), sip.Del("P-Preferred-Identity"))
	}
	req = req.WithURI(uri)
	if !r.data {
		to.uri = uri
	}
	for _, data := range to.data() {
		req = req.With(sip.Add(data))
	}
	return r.history.send(req, to)
}
