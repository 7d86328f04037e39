package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// Via is one value of a Via header field (RFC 3261 section 20.42).
type Via struct {
	Transport string // "UDP", "TCP", "TLS", "WS", "WSS", …
	Host      string // sent-by
	Port      int    // of the sent-by, 0 if it names none
	Params    Params
}

// HeaderName returns "Via".
func (Via) HeaderName() string { return "Via" }

// ParseValue reads one value of a Via.
func (Via) ParseValue(s string) (Via, error) {
	var v Via
	// sent-protocol: "SIP" SLASH "2.0" SLASH transport, white space allowed.
	if strings.HasPrefix(s, "SIP/2.0/") {
		s = s[len("SIP/2.0/"):]
	} else {
		for _, part := range [...]string{"SIP", "2.0"} {
			if len(s) < len(part) || !equalFold(s[:len(part)], part) {
				return Via{}, valueError("protocol is not SIP/2.0")
			}
			s = skipWS(s[len(part):])
			if s == "" || s[0] != '/' {
				return Via{}, valueError("protocol is not SIP/2.0")
			}
			s = skipWS(s[1:])
		}
	}
	n := span(s, charToken)
	if n == 0 || n == len(s) || skipWS(s[n:]) == s[n:] {
		return Via{}, valueError("no transport and sent-by")
	}
	v.Transport, s = s[:n], skipWS(s[n:])

	var err error
	if v.Host, v.Port, s, err = parseHostPort(s); err != nil {
		return Via{}, err
	}
	if s != "" && s[0] != ';' {
		// White space may stand around the colon of the port, too.
		if s = skipWS(s); s != "" && s[0] == ':' && v.Port == 0 {
			if _, v.Port, s, err = parseHostPort("x:" + skipWS(s[1:])); err != nil {
				return Via{}, err
			}
			s = skipWS(s)
		}
	}
	v.Params, err = parseParams(s)
	return v, err
}

// AppendValue appends the value.
func (v Via) AppendValue(b []byte) []byte {
	b = append(b, "SIP/2.0/"...)
	b = append(b, v.Transport...)
	b = append(b, ' ')
	b = append(b, v.Host...)
	if v.Port != 0 {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(v.Port), 10)
	}
	return append(b, v.Params...)
}

// SentBy returns the host and, if there is one, the port.
func (v Via) SentBy() string {
	if v.Port == 0 {
		return v.Host
	}
	return v.Host + ":" + strconv.Itoa(v.Port)
}

// Branch returns the branch parameter, "" if there is none.
func (v Via) Branch() string {
	b, _ := v.Params.Get("branch")
	return b
}

// Received returns the address that the server saw the request come from
// (RFC 3261 section 18.2.1). It is not valid if there is none.
func (v Via) Received() netip.Addr {
	s, _ := v.Params.Get("received")
	// RFC 5118 section 4.5: the address may wear brackets.
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		return netip.Addr{}
	}
	return addr
}

// RPort returns the rport parameter (RFC 3581). asked is true if it is there
// at all; port is 0 while it has no value.
func (v Via) RPort() (port int, asked bool) {
	s, asked := v.Params.Get("rport")
	n, _ := number(s, 65535)
	return int(n), asked
}
