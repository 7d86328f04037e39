package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A NAT is two networks and a router between them that lets the inside one use
// its only public address, by the Linux kernel's masquerading: an address and
// port of its own for each flow, through which nobody but the other end of the
// flow comes in (address and port-dependent mapping and filtering in the words
// of RFC 4787).
type NAT struct {
	Inside, Outside         *Namespace
	InsideAddr, OutsideAddr string // the one host there is in each
	PublicAddr              string // what the inside looks like from outside
}

// StartNAT makes the networks. A UDP flow on which nothing is sent for the
// timeout is forgotten.
func StartNAT(t testing.TB, timeout time.Duration) *NAT {
	t.Helper()
	n := &NAT{
		Inside: NewNamespace(t), Outside: NewNamespace(t),
		InsideAddr: "10.0.0.2", OutsideAddr: "192.0.2.2", PublicAddr: "192.0.2.1",
	}
	router := NewNamespace(t)
	for _, side := range []struct {
		name       string
		host       *Namespace
		here, addr string
	}{
		{"inside", n.Inside, "10.0.0.1", n.InsideAddr},
		{"outside", n.Outside, n.PublicAddr, n.OutsideAddr},
	} {
		// A cable with an end in the router and one in the host.
		router.ip(t, "link add "+side.name+" type veth peer name eth0")
		router.ip(t, "link set eth0 netns "+side.host.path)
		router.ip(t, "addr add "+side.here+"/24 dev "+side.name)
		router.ip(t, "link set "+side.name+" up")
		side.host.ip(t, "addr add "+side.addr+"/24 dev eth0")
		side.host.ip(t, "link set eth0 up")
	}
	n.Inside.ip(t, "route add default via 10.0.0.1")
	nft := exec.CommandContext(t.Context(), program(t, "nft", "nftables"), "-f", "-")
	nft.Stdin = strings.NewReader(`
table ip nat {
	chain postrouting {
		type nat hook postrouting priority srcnat
		oifname "outside" masquerade
	}
}
`)
	router.run(t, nft)
	// The second is for flows that were answered.
	router.sysctl(t, "netfilter/nf_conntrack_udp_timeout", int(timeout.Seconds()))
	router.sysctl(t, "netfilter/nf_conntrack_udp_timeout_stream", int(timeout.Seconds()))
	router.sysctl(t, "ipv4/ip_forward", 1)
	return n
}

func (n *Namespace) sysctl(t testing.TB, name string, value int) {
	t.Helper()
	var err error
	n.Do(func() {
		err = os.WriteFile(filepath.Join("/proc/sys/net", name), fmt.Append(nil, value), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}
