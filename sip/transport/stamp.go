package transport

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/goparley/parley/sip"
)

// stamp notes in the topmost Via where a request came from (RFC 3261 section
// 18.2.1, RFC 3581 section 4).
func stamp(r *sip.Request, from netip.AddrPort) *sip.Request {
	via := stampedVia{r.Via(), from}
	if !via.isDue() || !from.IsValid() && !via.Params.Has("received") {
		return r
	}
	return r.With(popVia, sip.Push(via))
}

var popVia = sip.Pop("Via")

// stampedVia is a Via with the received and rport that follow from where its
// message came from. As an edit it writes them.
type stampedVia struct {
	sip.Via
	from netip.AddrPort
}

// isDue reports whether the Via differs from the one that was sent.
func (v stampedVia) isDue() bool {
	return v.asksForRPort() || v.Params.Has("received") || !v.isFromSentBy()
}

func (v stampedVia) asksForRPort() bool {
	_, asked := v.RPort()
	return asked
}

// isFromSentBy reports whether the message came from the host that the Via names.
func (v stampedVia) isFromSentBy() bool {
	host := v.Addr()
	return host.IsValid() && host.Unmap() == v.from.Addr()
}

// AppendValue appends the value of the header field.
func (v stampedVia) AppendValue(b []byte) []byte {
	params := string(v.Params)
	v.Params = ""
	b = v.Via.AppendValue(b)
	rport := false
	for params != "" {
		var param string
		param, params = cutParam(params)
		name, _, _ := strings.Cut(param[1:], "=")
		switch name = strings.Trim(name, " \t"); {
		case equalFold(name, "received"):
			// One that the client wrote itself could send the response to
			// anybody.
		case !equalFold(name, "rport"):
			b = append(b, param...)
		case !v.from.IsValid():
			b = append(b, ";rport"...)
		case !rport:
			rport = true
			b = append(b, ";rport="...)
			b = strconv.AppendUint(b, uint64(v.from.Port()), 10)
		}
	}
	// With rport, received is there even if it says nothing new. A peer by a
	// socket without addresses has none.
	if !v.from.IsValid() {
		return b
	}
	if rport || !v.isFromSentBy() {
		b = append(b, ";received="...)
		b = v.from.Addr().WithZone("").AppendTo(b)
	}
	return b
}

// cutParam takes the first parameter off a list, with its semicolon.
func cutParam(s string) (param, rest string) {
	quoted := false
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && quoted:
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == ';' && !quoted:
			return s[:i], s[i:]
		}
	}
	return s, ""
}
