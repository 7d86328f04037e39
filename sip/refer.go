package sip

// ReferTo is the Refer-To header field: whom the receiver of a REFER is to
// contact (RFC 3515 section 2.1). The method is in the URI's parameter called
// method, and header fields that the new request should have, such as
// Replaces, are in URI.Header. The URI may be of any scheme.
type ReferTo Address

// HeaderName returns "Refer-To".
func (ReferTo) HeaderName() string { return "Refer-To" }

// ParseValue reads a Refer-To.
func (ReferTo) ParseValue(s string) (ReferTo, error) {
	a, err := ParseAddress(s)
	return ReferTo(a), err
}

// AppendValue appends the value.
func (r ReferTo) AppendValue(b []byte) []byte { return Address(r).AppendValue(b) }

func (r ReferTo) like(want ReferTo) bool { return likeAddress(Address(r), Address(want)) }

// ReferredBy is the Referred-By header field: who asked for this request with a
// REFER (RFC 3892 section 3). Anybody can write it.
type ReferredBy Address

// HeaderName returns "Referred-By".
func (ReferredBy) HeaderName() string { return "Referred-By" }

// ParseValue reads a Referred-By.
func (ReferredBy) ParseValue(s string) (ReferredBy, error) {
	a, err := ParseAddress(s)
	return ReferredBy(a), err
}

// AppendValue appends the value.
func (r ReferredBy) AppendValue(b []byte) []byte { return Address(r).AppendValue(b) }

// ContentID returns the Content-ID, without angle brackets, of the body part
// that proves who the referrer is: the cid parameter. It is "" if there is none.
func (r ReferredBy) ContentID() string { id, _ := r.Params.Get("cid"); return id }

func (r ReferredBy) like(want ReferredBy) bool { return likeAddress(Address(r), Address(want)) }

// ReferSub is the Refer-Sub header field: whether a REFER makes a subscription
// (RFC 4488 section 4). ReferSub{} asks for none, and in a 2xx says that there
// is none.
type ReferSub struct {
	Subscribe bool
	Params    Params
}

// HeaderName returns "Refer-Sub".
func (ReferSub) HeaderName() string { return "Refer-Sub" }

// ParseValue reads a Refer-Sub.
func (ReferSub) ParseValue(s string) (h ReferSub, err error) {
	c := scanner{s: s}
	switch value := c.token("true or false"); {
	case equalFold(value, "true"):
		h.Subscribe = true
	case !equalFold(value, "false"):
		c.pos = 0
		c.fail("expected true or false")
	}
	h.Params = c.params()
	return scanned(&c, h)
}

// AppendValue appends the value.
func (r ReferSub) AppendValue(b []byte) []byte {
	if r.Subscribe {
		b = append(b, "true"...)
	} else {
		b = append(b, "false"...)
	}
	return append(b, r.Params...)
}

func (r ReferSub) like(want ReferSub) bool {
	want.Params = trimParams(want.Params)
	return r == want
}
