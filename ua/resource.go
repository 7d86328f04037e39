package ua

import (
	"strings"

	"github.com/goparley/parley/internal/hostname"
	"github.com/goparley/parley/sip"
)

// maxAOR is how many bytes the user and the host of an address of record have
// at most.
const maxAOR = 512

// resource returns the address of record that a URI means, in one spelling. As
// with a registrar, the port does not count, nor does it whether it is sips. ok
// is false if the URI is none of a user or a host.
func resource(uri sip.URI) (aor sip.URI, ok bool) {
	user := uri.Username()
	if uri.Scheme != "sip" && uri.Scheme != "sips" || uri.Opaque != "" || len(user)+len(uri.Host) > maxAOR {
		return sip.URI{}, false
	}
	host := hostname.Canonical(uri.Host)
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return sip.URI{Scheme: "sip", Host: strings.Clone(host)}.WithUsername(strings.Clone(user)), host != ""
}
