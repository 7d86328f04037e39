// Package hostname tells whether two hosts are the same to a proxy and a registrar,
// who must not take one that they serve for another because somebody has spelled it
// otherwise. Sent-bys are compared as text, by who knows how they were written.
package hostname

import (
	"net/netip"
	"strings"
)

// Canonical returns a host as it is compared: in lower case, without dots at its
// end, and an address of IPv6 without brackets and zone, as that of IPv4 if it
// stands for one. Two texts that a resolver or a reader takes for the same host are
// the same then.
func Canonical(host string) string {
	host = strings.TrimRight(strings.Trim(host, "[]"), ".")
	for i := range len(host) {
		if c := host[i]; c >= 'A' && c <= 'Z' || c == ':' {
			host = strings.ToLower(host)
			if addr, ok := parseIPv6(host); ok {
				host = addr.Unmap().WithZone("").String() // which has many spellings
			}
			break
		}
	}
	return host
}

// parseIPv6 reads an address as package sip does, with the third colon, too, that RFC
// 5118 section 4.10 tells of, but also with a zone.
func parseIPv6(host string) (netip.Addr, bool) {
	if strings.IndexByte(host, ':') < 0 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(strings.Replace(host, ":::", "::", 1))
	return addr, err == nil
}

// IsHost reports whether a text is a host, a name or an address, and nothing more. That
// of IPv6 may stand in brackets, as in a URI, or without.
func IsHost(host string) bool {
	if strings.Contains(host, ":") {
		if n := len(host) - 1; host[0] == '[' && host[n] == ']' {
			host = host[1:n]
		}
		addr, ok := parseIPv6(host)
		return ok && addr.Zone() == ""
	}
	for _, c := range []byte(host) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return strings.Trim(host, ".") != "" && len(host) <= mostHost
}

// mostHost bounds the name of a host, as DNS does (RFC 1035 section 2.3.4).
const mostHost = 255
