package frame

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A URI names an MSRP session, or a host device if it has no SessionID (RFC 4975 section 6).
type URI struct {
	Secure    bool   // msrps: the hop to this host is by TLS
	User      string // userinfo as written; "" none
	Host      string // a name, or an IP address without brackets
	Port      uint16 // 0: none
	SessionID string // after the slash; "" none
	Transport string // "tcp", "ws" (RFC 7977), "dc" (RFC 8873) or what else stands there
	Params    string // further parameters as written, each after its semicolon
}

const maxURI = 2048

// ParseURI reads a URI. An IPv6 address may stand there without brackets, as the examples of
// RFC 8873 have it. Errors are of type *SyntaxError.
func ParseURI(s string) (URI, error) {
	fail := func(msg string) (URI, error) { return URI{}, &SyntaxError{Where: "URI", Text: clip(s), Msg: msg} }
	if len(s) > maxURI {
		return fail("too long")
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return fail("no scheme")
	}
	var u URI
	switch {
	case len(scheme) == len("msrp") && strings.EqualFold(scheme, "msrp"):
	case len(scheme) == len("msrps") && strings.EqualFold(scheme, "msrps"): // no letter beyond ASCII
		u.Secure = true
	default:
		return fail("scheme is neither msrp nor msrps")
	}
	rest, params, ok := strings.Cut(rest, ";")
	if !ok {
		return fail("no transport")
	}
	authority, session, slash := strings.Cut(rest, "/")
	if slash && (session == "" || !all(session, isSessionID)) {
		return fail("session-id is not one")
	}
	u.SessionID = session
	u.Transport, params, ok = strings.Cut(params, ";")
	if u.Transport == "" || !all(u.Transport, isAlphanum) {
		return fail("transport is not one")
	}
	if ok {
		u.Params = s[len(s)-len(params)-len(";"):]
		if !all(u.Params, isParams) {
			return fail("a parameter is none")
		}
	}
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		u.User, authority = authority[:at], authority[at+1:]
		if !all(u.User, isUser) {
			return fail("userinfo is none")
		}
	}
	host, port, err := splitHostPort(authority)
	if err != "" {
		return fail(err)
	}
	u.Host, u.Port = host, port
	return u, nil
}

// splitHostPort takes an authority without userinfo apart. err is "" if it is one.
func splitHostPort(s string) (host string, port uint16, err string) {
	digits, has := "", false
	switch colons := strings.Count(s, ":"); {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return "", 0, "an IPv6 address without its end"
		}
		host, digits = s[1:end], s[end+1:]
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, "what is in brackets is no IPv6 address"
		}
		if digits != "" {
			if digits[0] != ':' {
				return "", 0, "something behind the brackets"
			}
			digits, has = digits[1:], true
		}
	case colons > 1: // IPv6 without brackets: what follows the last colon is the port
		last := strings.LastIndexByte(s, ':')
		if a, err := netip.ParseAddr(s[:last]); err == nil && a.Is6() && a.Zone() == "" {
			host, digits, has = s[:last], s[last+1:], true
			break
		}
		if a, err := netip.ParseAddr(s); err != nil || !a.Is6() || a.Zone() != "" {
			return "", 0, "neither a host with a port nor an IPv6 address"
		}
		host = s
	default:
		host, digits, has = strings.Cut(s, ":")
		if host == "" {
			return "", 0, "no host"
		}
		if !all(host, isHost) {
			return "", 0, "the host is none"
		}
	}
	if has {
		n, err := strconv.ParseUint(digits, 10, 16)
		if err != nil || n == 0 {
			return "", 0, "the port is not from 1 to 65535"
		}
		port = uint16(n)
	}
	return host, port, ""
}

// String writes the URI. An IPv6 address gets its brackets.
func (u URI) String() string {
	var b []byte
	return string(u.append(b))
}

func (u URI) append(b []byte) []byte {
	if u.Secure {
		b = append(b, "msrps://"...)
	} else {
		b = append(b, "msrp://"...)
	}
	if u.User != "" {
		b = append(append(b, u.User...), '@')
	}
	if strings.Contains(u.Host, ":") {
		b = append(append(append(b, '['), u.Host...), ']')
	} else {
		b = append(b, u.Host...)
	}
	if u.Port != 0 {
		b = strconv.AppendUint(append(b, ':'), uint64(u.Port), 10)
	}
	if u.SessionID != "" {
		b = append(append(b, '/'), u.SessionID...)
	}
	b = append(append(b, ';'), u.Transport...)
	return append(b, u.Params...)
}

// Equal reports whether two URIs mean the same (RFC 4975 section 6.1): addresses are compared
// as addresses, names without regard to case and percent-encoding, the session-id byte by byte.
// A port that is written is not the same as none. Userinfo and further parameters do not
// count.
func (u URI) Equal(v URI) bool {
	return u.SessionID == v.SessionID && u.Secure == v.Secure && u.Port == v.Port &&
		strings.EqualFold(u.Transport, v.Transport) && SameHost(u.Host, v.Host)
}

// SameHost reports whether two hosts of URIs are the same, as text: no name is resolved.
func SameHost(a, b string) bool {
	if a == b {
		return true
	}
	a, b = decoded(a), decoded(b)
	x, errX := netip.ParseAddr(a)
	y, errY := netip.ParseAddr(b)
	if errX == nil || errY == nil {
		return errX == nil && errY == nil && x == y
	}
	return strings.EqualFold(a, b)
}

// decoded takes the percent-encoding off the characters of a host that need none.
func decoded(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil && isUnreserved(byte(n)) {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// A Path is a list of URIs to be visited: in To-Path and in SDP the first is the next hop and
// the last the peer.
type Path []URI

const maxPath = 16

// ParsePath reads URIs with spaces between them, 16 at most. Errors are of type *SyntaxError.
func ParsePath(s string) (Path, error) {
	p := make(Path, 0, min(maxPath, 1+strings.Count(s, " ")))
	for s = strings.Trim(s, " "); s != ""; s = strings.TrimLeft(s, " ") {
		word := s
		if i := strings.IndexByte(s, ' '); i >= 0 {
			word = s[:i]
		}
		if len(p) == maxPath {
			return nil, &SyntaxError{Where: "path", Text: clip(s), Msg: fmt.Sprintf("more than %d URIs", maxPath)}
		}
		u, err := ParseURI(word)
		if err != nil {
			return nil, err
		}
		p, s = append(p, u), s[len(word):]
	}
	if len(p) == 0 {
		return nil, &SyntaxError{Where: "path", Msg: "empty"}
	}
	return p, nil
}

// String writes the path as it stands in header fields and in SDP.
func (p Path) String() string {
	var b []byte
	for i, u := range p {
		if i > 0 {
			b = append(b, ' ')
		}
		b = u.append(b)
	}
	return string(b)
}

// Equal reports whether two paths have equal URIs in the same order.
func (p Path) Equal(q Path) bool {
	if len(p) != len(q) {
		return false
	}
	for i := range p {
		if !p[i].Equal(q[i]) {
			return false
		}
	}
	return true
}
