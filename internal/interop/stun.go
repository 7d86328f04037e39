package interop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

var reflexive = regexp.MustCompile(`UDP reflexive addr: (\S+)`)

// STUNClient has coturn's client ask a STUN server at an address where from it
// sees the client, and returns that.
func STUNClient(t testing.TB, server string) (netip.AddrPort, error) {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return netip.AddrPort{}, err
	}
	// It waits for an answer for ever.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, program(t, "turnutils_stunclient", "coturn"), "-p", port, host).CombinedOutput()
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("turnutils_stunclient %s: %w: %s", server, err, out)
	}
	found := reflexive.FindSubmatch(out)
	if found == nil {
		return netip.AddrPort{}, fmt.Errorf("turnutils_stunclient %s: no address in %q", server, out)
	}
	// It writes IPv6 addresses without brackets.
	addr := string(found[1])
	colon := strings.LastIndexByte(addr, ':')
	return netip.ParseAddrPort(net.JoinHostPort(addr[:max(colon, 0)], addr[colon+1:]))
}
