package sip

// Path is one value of a Path header field: a proxy between a user agent and
// its registrar, through which requests to the user agent go (RFC 3327 section
// 4). It has the shape of a Route and becomes one.
type Path Address

// HeaderName returns "Path".
func (Path) HeaderName() string { return "Path" }

// ParseValue reads one value of a Path.
func (Path) ParseValue(s string) (Path, error) { a, err := parseNameAddr(s); return Path(a), err }

// AppendValue appends the value.
func (p Path) AppendValue(b []byte) []byte { return Address(p).AppendValue(b) }

func (p Path) like(want Path) bool { return likeAddress(Address(p), Address(want)) }

// ServiceRoute is one value of a Service-Route header field: a proxy through
// which a registered user agent sends its requests (RFC 3608 section 5). It has
// the shape of a Route and becomes one.
type ServiceRoute Address

// HeaderName returns "Service-Route".
func (ServiceRoute) HeaderName() string { return "Service-Route" }

// ParseValue reads one value of a Service-Route.
func (ServiceRoute) ParseValue(s string) (ServiceRoute, error) {
	a, err := parseNameAddr(s)
	return ServiceRoute(a), err
}

// AppendValue appends the value.
func (r ServiceRoute) AppendValue(b []byte) []byte { return Address(r).AppendValue(b) }

func (r ServiceRoute) like(want ServiceRoute) bool { return likeAddress(Address(r), Address(want)) }
