package ua

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction"
)

// history is where a call of ours was sent, as it goes into its INVITEs (RFC 7044): one
// entry for each, numbered 1, 2 and so on, and what those on the way have added. nil
// writes none.
type history struct {
	known []sip.HistoryInfo // of requests that are answered, in the order of their indexes
	sent  sip.HistoryInfo   // of the last INVITE
	count int
}

// maxHistory bounds the entries.
const maxHistory = 64

// send returns an INVITE with the history up to its own entry. from is what it was
// redirected by; the zero place if by nothing.
func (h *history) send(req *sip.Request, from place) *sip.Request {
	if h == nil {
		return req
	}
	h.count++
	h.sent = sip.HistoryInfo{URI: from.target(req.URI()), Params: sip.Params(";index=" + strconv.Itoa(h.count))}
	if from.mapped != "" {
		index := from.index
		if _, ok := parseIndex(index); !ok { // who has redirected it need not know one
			index = strconv.Itoa(from.by)
		}
		h.sent.Params = h.sent.Params.With(from.mapped, index)
	}
	return req.With(sip.List(append(slices.Clone(h.known), h.sent)...))
}

// over takes what became of the last INVITE (RFC 7044 section 9.3): why it went no further
// there, and where it had been on from there. resp is nil if nobody has answered, which is as if
// it were refused with 408, or where it could not be sent with 503 (RFC 3261 section 8.1.3.1).
func (h *history) over(resp *sip.Response, err error) {
	if h == nil {
		return
	}
	status := sip.StatusServiceUnavailable
	switch {
	case resp != nil:
		status = resp.Status()
	case errors.Is(err, transaction.ErrTimeout):
		status = sip.StatusRequestTimeout
	}
	at := h.sent
	if at.URI.Scheme != "tel" {
		at.URI = at.URI.WithHeader("Reason", "SIP;cause="+strconv.Itoa(int(status)))
	}
	if resp == nil {
		h.add(at)
		return
	}
	if why, err := sip.Get[sip.Reason](resp); err == nil && at.URI.Scheme != "tel" { // RFC 7044 section 10.2
		at.URI = at.URI.WithHeader("Reason", string(why.AppendValue(nil)))
	}
	h.add(at)
	for entry, err := range sip.All[sip.HistoryInfo](resp) {
		// Where it went from there is below our entry; the others are ours to make.
		if index, ok := parseIndex(entry.Index()); err == nil && ok && index[0] == h.count {
			h.add(entry)
		}
	}
}

// add puts an entry in its place, unless it is known.
func (h *history) add(entry sip.HistoryInfo) {
	index, ok := parseIndex(entry.Index())
	if !ok || len(h.known) >= maxHistory {
		return
	}
	i, known := slices.BinarySearchFunc(h.known, index, func(e sip.HistoryInfo, index []int) int {
		have, _ := parseIndex(e.Index())
		return slices.Compare(have, index)
	})
	if !known {
		h.known = slices.Insert(h.known, i, entry)
	}
}

// maxIndex bounds the numbers of an index: a call takes no more than 70 hops.
const maxIndex = 70

// parseIndex reads an index, "1.2.1" (RFC 7044 section 5).
func parseIndex(s string) (index []int, ok bool) {
	for number := range strings.SplitSeq(s, ".") {
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || len(index) == maxIndex {
			return nil, false
		}
		index = append(index, int(n))
	}
	return index, true
}

// historyOf returns what responses to a request say of its history: what came with it
// (RFC 7044 section 9.4). Where a proxy that does not know of that has sent it on to us
// there is no entry for where we are, and none is made up, which is a deviation: callers
// need not know it. What cannot be read is left out, too: nothing could be written with it.
func historyOf(req *sip.Request) []sip.Edit {
	var entries []sip.HistoryInfo
	for entry, err := range sip.All[sip.HistoryInfo](req) {
		if err == nil {
			entries = append(entries, entry)
		}
	}
	if entries == nil {
		return nil
	}
	return []sip.Edit{sip.List(entries...)}
}

// place is where a call is redirected to.
type place struct {
	uri    sip.URI // with the header fields that it was given
	q      float64
	mapped string // "rc", "mp" or "": how the target came about (RFC 7044 section 10.4)
	index  string // of what it came from, as the redirecting server has it
	by     int    // the number of the INVITE that was redirected, 0 without a history
	proxy  bool   // it is to pass the INVITE on (305)
}

// equal reports whether it is the same place, whatever header fields it was given: else one
// place would be many.
func (p place) equal(q place) bool {
	p.uri.Headers, q.uri.Headers = "", ""
	return p.proxy == q.proxy && p.uri.Equal(q.uri)
}

// newPlace reads a Contact of a refusal.
func newPlace(c sip.Contact) place {
	p := place{uri: c.URI.Clone(), q: c.Q()}
	for _, mapped := range []string{"rc", "mp"} {
		if index, ok := c.Params.Get(mapped); ok {
			p.mapped, p.index = mapped, strings.Clone(index)
			break
		}
	}
	return p
}

// maxData bounds the User-to-User header fields of a redirection.
const maxData = 8

// data returns the User-to-User of a redirection, the only header field of its URI that
// is followed (RFC 7433 section 4.1).
func (p place) data() (all []sip.UserToUser) {
	for name, value := range p.uri.Header() {
		if !strings.EqualFold(name, "User-to-User") || len(all) == maxData {
			continue
		}
		if data, err := (sip.UserToUser{}).ParseValue(value); err == nil {
			all = append(all, data)
		}
	}
	return all
}

// target returns the URI of a history entry: that which the INVITE is for, and the
// User-to-User that was added on the way there (RFC 7433 section 4.3).
func (p place) target(uri sip.URI) sip.URI {
	for _, data := range p.data() {
		uri = uri.WithHeader("User-to-User", string(data.AppendValue(nil)))
	}
	return uri
}

// byQ orders places by preference.
func byQ(a, b place) int { return cmp.Compare(b.q, a.q) }
