package transaction

import "github.com/goparley/parley/sip"

// RequestError is what a CANCEL of the peer has done, or a BYE: it matches
// ErrCancelled, or what else Err says. If the peer says why (RFC 3326), errors.As
// finds the first reason:
//
//	var why sip.Reason
//	if errors.As(context.Cause(ctx), &why) && why.Protocol == "SIP" && why.Cause == 200 {
//		return // somebody else has answered, so it is no missed call
//	}
type RequestError struct {
	Err     error
	Request *sip.Request // all of what the peer has sent
}

func (e *RequestError) Error() string {
	text := e.Err.Error()
	for _, why := range e.reasons() {
		text += ": " + why.Error()
	}
	return text
}

// Unwrap returns Err and the reasons that the peer gives.
func (e *RequestError) Unwrap() []error {
	all := []error{e.Err}
	for _, why := range e.reasons() {
		all = append(all, why)
	}
	return all
}

// maxReasons bounds the reasons of one request. There is one for each protocol (RFC
// 3326 section 2), of which the registry has a handful.
const maxReasons = 8

func (e *RequestError) reasons() (all []sip.Reason) {
	for why, err := range sip.All[sip.Reason](e.Request) {
		if err != nil {
			continue // it has no impact on anything (RFC 3326 section 1)
		}
		if all = append(all, why); len(all) == maxReasons {
			break
		}
	}
	return all
}

// Reasons returns every sip.Reason that an error wraps.
func Reasons(err error) (all []sip.Reason) {
	switch e := err.(type) {
	case sip.Reason:
		all = append(all, e)
	case interface{ Unwrap() error }:
		all = Reasons(e.Unwrap())
	case interface{ Unwrap() []error }:
		for _, err := range e.Unwrap() {
			all = append(all, Reasons(err)...)
		}
	}
	return all
}

// with returns a request with the reasons for it. Those that cannot be written are no
// reason not to send it.
func with(r *sip.Request, reasons []sip.Reason) *sip.Request {
	if len(reasons) == 0 {
		return r
	}
	if out := r.With(sip.List(reasons...)); out.Err() == nil {
		return out
	}
	return r
}
