package sip

// PushParams is what the URI of a Contact says of how to wake a user agent that
// sleeps by a push notification (RFC 8599 section 8.7). Its values are without
// escapes.
type PushParams struct {
	Provider string // pn-provider: "apns", "fcm", "webpush" and so on
	Param    string // pn-param
	PRID     string // pn-prid: the device or subscription to notify
	PURR     string // pn-purr: the binding that a request in a dialog belongs to
}

// PushParams returns the parameters of a URI that are for push notifications.
// ok is false if it has neither pn-provider nor pn-purr.
func (u URI) PushParams() (p PushParams, ok bool) {
	p = PushParams{u.param("pn-provider"), u.param("pn-param"), u.param("pn-prid"), u.param("pn-purr")}
	return p, u.Params.Has("pn-provider") || p.PURR != ""
}

// WithPushParams returns the URI with these parameters for push notifications
// and no others of that kind. PushParams{} removes them all.
func (u URI) WithPushParams(p PushParams) URI {
	u.Params = u.Params.withEscaped("pn-provider", p.Provider).withEscaped("pn-param", p.Param).
		withEscaped("pn-prid", p.PRID).withEscaped("pn-purr", p.PURR)
	return u
}

// param returns the value of a parameter with its escapes undone.
func (u URI) param(name string) string {
	v, _ := u.Params.Get(name)
	return unescape(v)
}

// withEscaped sets a parameter of a URI to a value that has no escapes yet, or
// removes it if the value is "".
func (p Params) withEscaped(name, value string) Params {
	p = p.Without(name)
	if value == "" {
		return p
	}
	b := append([]byte(p), ';')
	b = append(b, name...)
	b = append(b, '=')
	for i := range len(value) {
		if c := value[i]; is(c, charParam) {
			b = append(b, c)
		} else {
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return Params(b)
}
