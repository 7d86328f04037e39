package sdp

// A Session is a session description (RFC 8866 section 5).
type Session struct {
	Origin     Origin      // o=
	Name       string      // s=; "" is written as "-"
	Info       string      // i=; "" none
	URI        string      // u=; "" none
	Email      string      // e=; "" none
	Phone      string      // p=; "" none
	Address    string      // c= of the session level, as in Media.Address; "" none
	Bandwidths []Bandwidth // b= of the session level
	Start      uint64      // t=: seconds since 1900; 0 with Stop 0: for as long as the dialog lasts
	Stop       uint64      // t=: 0: no end
	Attributes []Attribute // a= of the session level but the direction, in order
	Media      []*Media    // the m= sections, in order
}

// An Origin is the o= line: who described the session, and which version of
// the description this is (RFC 8866 section 5.2).
type Origin struct {
	Username  string // "" is written as "-"
	SessionID uint64 // stays the same for the whole dialog
	Version   uint64 // one more when the description changed (RFC 3264 section 8)
	Address   string // an IP address or a host name; "" is written as 0.0.0.0
}

// A Media is one m= section of a session: one stream (RFC 8866 section 5.14).
type Media struct {
	Type       string      // "audio", "video", "message", ...
	Port       int         // 0 refuses or ends the section (RFC 3264 sections 6 and 8.2)
	NumPorts   int         // the 2 of m=audio 49170/2; 0 and 1 mean one
	Proto      string      // "RTP/AVP", "TCP/MSRP", ...
	Formats    []string    // as on the m= line; for RTP see [Media.RTP]
	Title      string      // i=; "" none
	Address    string      // the c= address in force, the section's own or the session's; "" none. A multicast address keeps its /ttl/count
	Bandwidths []Bandwidth // b=
	Direction  Direction   // in force: the section's own, else the session's, else SendRecv
	Attributes []Attribute // every a= of the section but the direction, in order

	// Inherited are the a= lines of the session level. They hold for the
	// section as far as it has none of that name; see [Media.Attribute].
	// They are set by Parse and not written with the section.
	Inherited []Attribute
}

// An Attribute is an a= line: a=name:value, or a=name if Value is empty
// (RFC 8866 section 5.13).
type Attribute struct{ Name, Value string }

// A Bandwidth is a b= line (RFC 8866 section 5.8).
type Bandwidth struct {
	Type  string // "AS", "TIAS", "CT", ...
	Value uint64 // in kbit/s, for TIAS, RS and RR in bit/s
}

// Attribute returns the value of the first attribute called name of the
// section, or if it has none, of the session. A property attribute has
// the value "".
func (m *Media) Attribute(name string) (value string, ok bool) {
	for _, list := range [...][]Attribute{m.Attributes, m.Inherited} {
		for _, a := range list {
			if a.Name == name {
				return a.Value, true
			}
		}
	}
	return "", false
}
