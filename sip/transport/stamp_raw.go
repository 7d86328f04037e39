package transport

import (
	"bytes"
	"net/netip"
	"strconv"
)

// appendStamped appends a request as it came from the network, but with its
// topmost Via stamped as stamp would do it. It knows only the form that nearly
// all requests have: the Via is the first header line and asks for rport, once
// and without a value, and has neither quotes, a maddr nor a received of its own:
// responses then go back to where it came from. For all else, and for most of what is no message, ok is false.
//
// Nothing is looked at beyond the Via: whether it is a message is for the parser
// to say, and one that it takes when it is stamped it would have taken before.
func appendStamped(b, raw []byte, from netip.AddrPort) (stamped []byte, ok bool) {
	start, ok := crlfAt(raw)
	if !ok || start == 0 || len(raw) > 3 && equalFold(string(raw[:4]), "SIP/") {
		return b, false
	}
	value := start + 2
	switch line := raw[value:]; {
	case len(line) > 4 && equalFold(string(line[:4]), "Via:"):
		value += 4
	case len(line) > 2 && equalFold(string(line[:2]), "v:"):
		value += 2
	default:
		return b, false
	}
	length, ok := crlfAt(raw[value:])
	end := value + length
	if !ok || end+2 == len(raw) || raw[end+2] == ' ' || raw[end+2] == '\t' { // a fold
		return b, false
	}
	via := bytes.TrimRight(raw[value:end], " \t")
	if bytes.IndexByte(via, '"') >= 0 || bytes.IndexByte(via, ',') >= 0 {
		return b, false
	}
	rport, ok := bareRPort(via)
	if !ok {
		return b, false
	}
	end = value + len(via) // white space at the end stays there
	b = append(b, raw[:value+rport]...)
	b = append(b, "rport="...)
	b = strconv.AppendUint(b, uint64(from.Port()), 10)
	b = append(b, via[rport+len("rport"):]...)
	b = append(b, ";received="...)
	b = from.Addr().WithZone("").AppendTo(b)
	return append(b, raw[end:]...), true
}

// crlfAt returns where the first line ends. A line feed or carriage return by
// itself is no line end, and no part of a message.
func crlfAt(b []byte) (int, bool) {
	i := bytes.IndexByte(b, '\n') - 1
	return i, i >= 0 && bytes.IndexByte(b[:i+1], '\r') == i
}

// bareRPort returns where in a Via, which has no quotes, the rport parameter
// stands, if it is there once and without a value, and neither received nor
// maddr is there.
func bareRPort(via []byte) (at int, ok bool) {
	for next := bytes.IndexByte(via, ';'); next >= 0; {
		param := via[next+1:]
		start := next + 1
		if next = bytes.IndexByte(param, ';'); next >= 0 {
			param = param[:next]
			next += start
		}
		switch {
		case len(param) == 0 || param[0] == ' ' || param[0] == '\t':
			return 0, false // there may be a name behind the white space
		case param[0]|0x20 == 'm': // maddr, most likely: responses go elsewhere
			return 0, false
		case param[0]|0x20 == 'r':
			// Other names that begin so are rare.
			if ok || !equalFold(string(param), "rport") {
				return 0, false
			}
			at, ok = start, true
		}
	}
	return at, ok
}
