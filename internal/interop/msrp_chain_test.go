package interop_test

import (
	"testing"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/msrp"
)

// One end is reached by Kamailio, and the other by our relay: each of the two sends to the other.
func TestMSRPRelaysOfTwoMakes(t *testing.T) {
	interop.Need(t)
	kamailio := interop.StartKamailioRelay(t, nil)
	ours := interop.StartRelay(t, &interop.RelayOptions{Authority: kamailio.Authority})
	keys := newKeyLog(t)
	capture := interop.StartCapture(t)
	for _, transport := range transports {
		t.Run(transport, func(t *testing.T) {
			exchangeAll(t, newRelayed(t, kamailio, transport, "alice", keys), newRelayed(t, ours, transport, "bob", keys))
			exchangeAll(t, newRelayed(t, ours, transport, "alice", keys), newRelayed(t, kamailio, transport, "bob", keys))
		})
	}
	judgeRelays(t, capture, 8*messagesOfPair, keys, kamailio, ours)
}

// A client authenticates with a relay by way of another one (RFC 4976 section 5.1).
func TestMSRPRelayBehindRelay(t *testing.T) {
	interop.Need(t)
	kamailio := interop.StartKamailioRelay(t, nil)
	ours := interop.StartRelay(t, &interop.RelayOptions{Authority: kamailio.Authority})
	further := interop.StartRelay(t, &interop.RelayOptions{Authority: kamailio.Authority})
	keys := newKeyLog(t)
	capture := interop.StartCapture(t)
	by := func(relay *interop.Relay, user string) msrp.Relay {
		return msrp.Relay{URI: relay.URI("tcp"), Username: user, Password: user + "pw"}
	}
	for name, c := range map[string][]*interop.Relay{
		"ours behind ours":     {ours, further},
		"ours behind Kamailio": {kamailio, ours},
		"Kamailio behind ours": {ours, kamailio},
	} {
		t.Run(name, func(t *testing.T) {
			alice := newRelayedBy(t, kamailio, keys, by(c[0], "alice"), by(c[1], "alice"))
			exchangeAll(t, alice, newRelayed(t, kamailio, "tls", "bob", keys))
			exchangeAll(t, newRelayed(t, ours, "ws", "carol", keys), alice)
		})
	}
	judgeRelays(t, capture, messagesOfPair, keys, kamailio, ours, further)
}
