package sip

// InfoPackage is the Info-Package header field: what an INFO is about (RFC 6086
// section 7.2).
type InfoPackage struct {
	Name   string // case matters
	Params Params
}

// HeaderName returns "Info-Package".
func (InfoPackage) HeaderName() string { return "Info-Package" }

// ParseValue reads an Info-Package.
func (InfoPackage) ParseValue(s string) (h InfoPackage, err error) {
	c := scanner{s: s}
	h.Name, h.Params = c.token("an Info Package"), c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (i InfoPackage) AppendValue(b []byte) []byte { return append(append(b, i.Name...), i.Params...) }

func (i InfoPackage) like(want InfoPackage) bool {
	want.Params = trimParams(want.Params)
	return i == want
}

// RecvInfo is one value of a Recv-Info header field: an Info Package that the
// peer wants to be sent (RFC 6086 section 7.3). The zero value is the empty
// header field: the peer knows of Info Packages and wants none. A name is that
// of an InfoPackage if it is equal to it, parameters aside.
type RecvInfo struct {
	Name   string // case matters
	Params Params
}

// HeaderName returns "Recv-Info".
func (RecvInfo) HeaderName() string { return "Recv-Info" }

// ParseValue reads one Info Package.
func (RecvInfo) ParseValue(s string) (RecvInfo, error) {
	if s == "" {
		return RecvInfo{}, nil
	}
	h, err := InfoPackage{}.ParseValue(s)
	return RecvInfo(h), err
}

// AppendValue appends the value.
func (r RecvInfo) AppendValue(b []byte) []byte { return InfoPackage(r).AppendValue(b) }

func (r RecvInfo) like(want RecvInfo) bool { return InfoPackage(r).like(InfoPackage(want)) }
