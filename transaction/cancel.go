package transaction

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// cancelOf makes the CANCEL of a request as it went out (RFC 3261 section 9.1):
// the same Request-URI, topmost Via, Route, From, To, Call-ID and CSeq number.
func cancelOf(r *sip.Request) *sip.Request { return hopByHop(r, sip.CANCEL, r) }

// ackTo makes the ACK of a final response other than a 2xx (RFC 3261 section
// 17.1.1.3): as the request, but with the To of the response.
func ackTo(r *sip.Request, resp *sip.Response) *sip.Request { return hopByHop(r, sip.ACK, resp) }

// hopByHop makes a request that goes where r went, and no further, with the To
// of another message. What it has of r is the same to the letter: a peer of RFC
// 2543 may compare that.
func hopByHop(r *sip.Request, method sip.Method, to sip.Message) *sip.Request {
	edits := []sip.Edit{r.Via(), sip.MaxForwards(70), same(r, "From"), same(to, "To"),
		sip.CallID(r.CallID()), sip.CSeq{Seq: r.CSeq().Seq, Method: method}}
	for f := range r.Fields() {
		if strings.EqualFold(f.Name, "Route") {
			edits = append(edits, sip.Add(f))
		}
	}
	return sip.NewRequest(method, r.URI(), edits...)
}

// same returns a header field of m as it stands there.
func same(m sip.Message, name string) sip.Field {
	value, _ := m.Value(name)
	return sip.Field{Name: name, Value: value}
}
