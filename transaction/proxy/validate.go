package proxy

import (
	"slices"

	"github.com/goparley/parley/sip"
)

// A refusal is why a request is not forwarded.
type refusal struct {
	status sip.Status // 0: err says
	err    error
	edits  []sip.Edit
}

// validate checks a request by RFC 3261 section 16.3, in its order. The first of
// the checks, of the syntax, has been made by whoever parsed it; what else we
// read is checked here.
//
// An OPTIONS may end here: the handler may answer one that may go no further
// (section 11), and it is refused when it is to be forwarded.
func validate(req *sip.Request, r *route, supported []string, loops bool) *refusal {
	// Which scheme it is matters to who reads the Request-URI. One with a Route
	// left goes by that, such as an emergency call to a URN (RFC 5031 section 6).
	switch r.uri.Scheme {
	case "sip", "sips", "tel":
	default:
		if len(r.left()) == 0 {
			return &refusal{status: sip.StatusUnsupportedURIScheme}
		}
	}
	if req.MaxForwards() == 0 && req.Method() != sip.OPTIONS {
		return &refusal{status: sip.StatusTooManyHops}
	}
	if loops {
		return &refusal{status: sip.StatusLoopDetected}
	}
	var unknown sip.Unsupported
	if _, ok := req.Value("Proxy-Require"); !ok {
		return nil
	}
	for options, err := range sip.All[sip.ProxyRequire](req) {
		if err != nil {
			return &refusal{err: err}
		}
		for _, option := range options {
			if !slices.ContainsFunc(supported, func(s string) bool { return equalFold(s, option) }) {
				unknown = append(unknown, option)
			}
		}
	}
	if unknown != nil {
		return &refusal{status: sip.StatusBadExtension, edits: []sip.Edit{unknown}}
	}
	return nil
}
