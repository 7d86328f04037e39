package digest

// authenticationInfo is the value of an Authentication-Info header field (RFC 2617
// section 3.2.3).
type authenticationInfo struct {
	nextnonce string
	rspauth   string
	cnonce    string
	nc        string
	qop       string
}

func readAuthenticationInfo(value string) (authenticationInfo, error) {
	p, err := parse(value)
	if err != nil {
		return authenticationInfo{}, err
	}
	return authenticationInfo{
		nextnonce: p.get("nextnonce"),
		rspauth:   p.get("rspauth"),
		cnonce:    p.get("cnonce"),
		nc:        p.get("nc"),
		qop:       p.get("qop"),
	}, nil
}

// String writes a space after each comma, as the examples of RFC 4976 section 5.1 do;
// its grammar has none.
func (i *authenticationInfo) String() string {
	l := list{b: make([]byte, 0, 256)}
	l.quoted("nextnonce", i.nextnonce)
	l.quoted("rspauth", i.rspauth)
	l.quoted("cnonce", i.cnonce)
	l.bare("nc", i.nc)
	l.bare("qop", i.qop)
	return string(l.b)
}
