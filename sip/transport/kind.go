package transport

import (
	"strings"

	"github.com/goparley/parley/sip"
)

// The transports, as they stand in a Via (RFC 3261 section 20.42, RFC 7118
// section 5.1).
const (
	viaUDP = "UDP"
	viaTCP = "TCP"
	viaTLS = "TLS"
	viaWS  = "WS"
	viaWSS = "WSS"
)

// kindOf returns the transport of that name in any case, "" if there is none.
func kindOf(name string) string {
	for _, kind := range [...]string{viaUDP, viaTCP, viaTLS, viaWS, viaWSS} {
		if strings.EqualFold(name, kind) {
			return kind
		}
	}
	return ""
}

// isSecure reports whether a transport runs on TLS.
func isSecure(kind string) bool { return kind == viaTLS || kind == viaWSS }

// isWebSocket reports whether a transport runs on WebSocket.
func isWebSocket(kind string) bool { return kind == viaWS || kind == viaWSS }

// defaultPort returns the port of a transport where none is named (RFC 3261
// section 18.2.2, RFC 7118 section 5.5).
func defaultPort(kind string) int {
	switch kind {
	case viaTLS:
		return 5061
	case viaWS:
		return 80
	case viaWSS:
		return 443
	}
	return 5060
}

// portOf returns the port of a sent-by, the default one if it names none.
func portOf(v sip.Via) int {
	if v.Port == 0 {
		return defaultPort(kindOf(v.Transport))
	}
	return v.Port
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
