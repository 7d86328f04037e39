package transaction

import "github.com/goparley/parley/sip"

// cancelOf makes the CANCEL of a request as it went out (RFC 3261 section 9.1):
// the same Request-URI, topmost Via, Route, From, To, Call-ID and CSeq number.
func cancelOf(r *sip.Request) *sip.Request {
	return sip.NewRequest(sip.CANCEL, r.URI(), hopByHop(r, sip.CANCEL, r.To())...)
}

// ackTo makes the ACK of a final response other than a 2xx (RFC 3261 section
// 17.1.1.3): as the request, but with the To of the response.
func ackTo(r *sip.Request, resp *sip.Response) *sip.Request {
	return sip.NewRequest(sip.ACK, r.URI(), hopByHop(r, sip.ACK, resp.To())...)
}

// hopByHop returns the header fields of a request that goes where r went, and
// no further.
func hopByHop(r *sip.Request, method sip.Method, to sip.To) []sip.Edit {
	edits := []sip.Edit{r.Via()}
	for route, err := range sip.All[sip.Route](r) {
		if err == nil {
			edits = append(edits, sip.Add(route))
		}
	}
	return append(edits, sip.MaxForwards(70), r.From(), to, sip.CallID(r.CallID()),
		sip.CSeq{Seq: r.CSeq().Seq, Method: method})
}
