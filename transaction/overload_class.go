package transaction

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// class is how dear a request is when some have to be refused (RFC 7339 section
// 5.10.1).
type class uint8

const (
	fresh     class = iota // outside dialogs: new work
	ongoing                // within a dialog
	urgent                 // Overload.Urgent says so
	essential              // completes or ends what has cost its work already
)

// classOf returns the class of a request, but for urgent: to find that out is
// worth it only for a request that would be refused.
func classOf(method sip.Method, inDialog bool) class {
	switch {
	case method == sip.ACK, method == sip.CANCEL, method == sip.BYE && inDialog, method == sip.PRACK && inDialog:
		return essential
	case inDialog:
		return ongoing
	}
	return fresh
}

func classOfRequest(r *sip.Request) class { return classOf(r.Method(), r.To().Tag() != "") }

// isUrgent is what Overload.Urgent is by default: calls to emergency services
// (RFC 5031 section 4.2), and what has a priority above the lowest by a
// Resource-Priority of a namespace of RFC 4412 or 7135.
func isUrgent(r *sip.Request) bool {
	if isSOS(r.URI()) {
		return true
	}
	priorities, err := sip.Get[sip.ResourcePriority](r)
	if err != nil {
		return false
	}
	for _, p := range priorities {
		namespace, level, _ := strings.Cut(strings.ToLower(p), ".")
		switch namespace {
		case "esnet", "ets", "wps":
			return true
		case "dsn", "drsn":
			if level != "routine" {
				return true
			}
		case "q735":
			if level != "4" {
				return true
			}
		}
	}
	return false
}

// isSOS reports whether a URI is urn:service:sos or one of its kinds.
func isSOS(u sip.URI) bool {
	const sos = "urn:service:sos"
	s := u.String()
	return len(s) >= len(sos) && strings.EqualFold(s[:len(sos)], sos) && (len(s) == len(sos) || s[len(sos)] == '.')
}
