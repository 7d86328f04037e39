package sip

import "strings"

// ResourcePriority is the Resource-Priority header field: a call that goes before
// others, as "ets.0" for priority 0 of the namespace ets (RFC 4412 section 3.1).
// Values of several lines come as one; upper and lower case are the same.
type ResourcePriority []string

// HeaderName returns "Resource-Priority".
func (ResourcePriority) HeaderName() string { return "Resource-Priority" }

// ParseValue reads the priorities, one at least.
func (ResourcePriority) ParseValue(s string) (ResourcePriority, error) {
	list, err := parseForm[ResourcePriority](s, isPriority, expectedPriority)
	if err == nil && len(list) == 0 {
		return nil, valueError(expectedPriority)
	}
	return list, err
}

// AppendValue appends the value.
func (r ResourcePriority) AppendValue(b []byte) []byte { return appendTokens(b, r) }

// AcceptResourcePriority is the Accept-Resource-Priority header field: what a
// server heeds in a Resource-Priority (RFC 4412 section 3.2).
type AcceptResourcePriority []string

// HeaderName returns "Accept-Resource-Priority".
func (AcceptResourcePriority) HeaderName() string { return "Accept-Resource-Priority" }

// ParseValue reads the priorities, of which there may be none.
func (AcceptResourcePriority) ParseValue(s string) (AcceptResourcePriority, error) {
	return parseForm[AcceptResourcePriority](s, isPriority, expectedPriority)
}

// AppendValue appends the value.
func (a AcceptResourcePriority) AppendValue(b []byte) []byte { return appendTokens(b, a) }

const expectedPriority = "expected a namespace, '.' and a priority"

// isPriority reports whether t is an r-value: a namespace and a priority, neither
// of which has a dot, and a dot between them.
func isPriority(t string) bool {
	namespace, priority, _ := strings.Cut(t, ".")
	return isToken(namespace) && isToken(priority) && strings.IndexByte(priority, '.') < 0
}
