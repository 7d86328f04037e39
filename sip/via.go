package sip

import (
	"net/netip"
	"strconv"
	"strings"
)

// Via is one value of a Via header field (RFC 3261 section 20.42).
type Via struct {
	Transport string // "UDP", "TCP", "TLS", "WS", "WSS" and so on
	Host      string // sent-by
	Port      int    // of the sent-by, 0 if it names none
	Params    Params
}

// HeaderName returns "Via".
func (Via) HeaderName() string { return "Via" }

// ParseValue reads one value of a Via.
func (Via) ParseValue(s string) (v Via, err error) {
	var x viaSpan[uint16]
	if err = x.scan(s); err == nil {
		x.fill(&v, s)
	}
	return v, err
}

// viaSpan says where the parts of a Via are in its text, as uriSpan does for a
// URI.
type viaSpan[O offset] struct {
	port         uint16
	transport    O
	transportEnd O
	host         O
	hostEnd      O
	params       O
	end          O
}

// fill sets v, which is zero, to the Via whose spans these are.
func (x *viaSpan[O]) fill(v *Via, s string) {
	v.Transport = s[x.transport:x.transportEnd]
	v.Host = s[x.host:x.hostEnd]
	v.Port = int(x.port)
	v.Params = Params(s[x.params:x.end])
}

func (x *viaSpan[O]) scan(s string) error {
	if tooLong[O](s) {
		return valueError("expected up to 65535 bytes")
	}
	if hasAVX2 && x.quickText(s) {
		return nil
	}
	*x = viaSpan[O]{}
	// sent-protocol: "SIP" SLASH "2.0" SLASH transport, white space allowed.
	pos := 0
	if strings.HasPrefix(s, "SIP/2.0/") {
		pos = afterWS(s, len("SIP/2.0/"))
	} else {
		for _, part := range [...]string{"SIP", "2.0"} {
			end := pos + len(part)
			if len(s) < end || !equalFold(s[pos:end], part) {
				return errorAt(pos, "expected SIP/2.0 and a transport")
			}
			if pos = afterWS(s, end); pos == len(s) || s[pos] != '/' {
				return errorAt(pos, "expected SIP/2.0 and a transport")
			}
			pos = afterWS(s, pos+1)
		}
	}
	x.transport = O(pos)
	end := pos + span(s[pos:], charToken)
	x.transportEnd = O(end)
	if pos = afterWS(s, end); end == int(x.transport) || pos == end {
		return errorAt(end, "expected a transport, white space and a host")
	}

	n, err := scanHost(s[pos:])
	if err != nil {
		return shifted(err, pos)
	}
	x.host, x.hostEnd = O(pos), O(pos+n)
	port := 0
	if pos = afterWS(s, pos+n); pos < len(s) && s[pos] == ':' {
		pos = afterWS(s, pos+1) // COLON may have white space around it
		if port, n, err = scanPort(s[pos:]); err != nil {
			return shifted(err, pos)
		}
		pos = afterWS(s, pos+n)
	}
	x.port, x.params, x.end = uint16(port), O(pos), O(len(s))
	return shifted(checkParams(s[pos:], "branch"), pos)
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

// Addr returns the host of the sent-by as an address, IPv4 or IPv6. It is not
// valid if the host is a name.
func (v Via) Addr() netip.Addr { return hostAddr(v.Host) }

// Received returns the address that the server saw the request come from
// (RFC 3261 section 18.2.1). It is not valid if there is none, or one with a
// zone, which would choose the interface that a response leaves by.
func (v Via) Received() netip.Addr {
	s, _ := v.Params.Get("received")
	return hostAddr(s) // an IPv6 address may wear brackets (RFC 5118 section 4.5)
}

// RPort returns the rport parameter (RFC 3581). asked is true if it is there
// at all; port is 0 while it has no value.
func (v Via) RPort() (port int, asked bool) {
	s, asked := v.Params.Get("rport")
	n, _ := number(s, 65535)
	return int(n), asked
}
