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
	var provider, purr bool
	p.Provider, provider = u.Param("pn-provider")
	p.Param, _ = u.Param("pn-param")
	p.PRID, _ = u.Param("pn-prid")
	p.PURR, purr = u.Param("pn-purr")
	return p, provider || purr
}

// WithPushParams returns the URI with these parameters for push notifications
// and no others of that kind. PushParams{} removes them all.
func (u URI) WithPushParams(p PushParams) URI {
	for _, param := range [...]struct{ name, value string }{
		{"pn-provider", p.Provider}, {"pn-param", p.Param}, {"pn-prid", p.PRID}, {"pn-purr", p.PURR},
	} {
		if param.value == "" {
			u.Params = u.Params.Without(param.name)
		} else {
			u = u.WithParam(param.name, param.value)
		}
	}
	return u
}
