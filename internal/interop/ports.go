package interop

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Ports lie below the range from which the kernel picks ports for outgoing
// connections, so that nothing takes them between the check and the use, and below
// those that tshark takes for MRCP.
const (
	firstPort = 20000
	lastPort  = 30000
)

// given are the ports that this process has given away. The lock is also held
// while a peer is started: between fork and exec a child has a copy of every
// socket, so a port that is being tried would look taken, and bound by a peer.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: make(map[int]bool)}

// Port returns a port that is free for UDP and for TCP on 127.0.0.1 and on ::1,
// and that no other caller was given. It is even, and so is the number of the block of
// four ports it starts: an RTP session fits there.
func Port(t testing.TB) int {
	t.Helper()
	return portBlock(t, 4)
}

// portBlock returns the first of n free ports in a row. It is a multiple of
// four.
func portBlock(t testing.TB, n int) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		base := (firstPort + rand.IntN(lastPort-firstPort-n)) &^ 3
		if !blockFree(base, n) {
			continue
		}
		for port := base; port < base+n; port++ {
			given.ports[port] = true
		}
		return base
	}
	t.Fatalf("no %d free ports in a row between %d and %d", n, firstPort, lastPort)
	return 0
}

func blockFree(base, n int) bool {
	for port := base; port < base+n; port++ {
		if given.ports[port] {
			return false
		}
		for _, host := range []string{"127.0.0.1", "::1"} {
			addr := net.JoinHostPort(host, strconv.Itoa(port))
			l, err := net.Listen("tcp", addr)
			if err != nil {
				return false
			}
			l.Close()
			c, err := net.ListenPacket("udp", addr)
			if err != nil {
				return false
			}
			c.Close()
		}
	}
	return true
}

func loopback(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// bound says whether some process has a socket at an address: network "udp" for
// any socket, "tcp" for a listening one.
func bound(network, addr string) bool {
	want, err := netip.ParseAddrPort(addr)
	if err != nil {
		return false
	}
	if want.Addr().Is6() {
		network += "6"
	}
	f, err := os.Open("/proc/thread-self/net/" + network)
	if err != nil {
		return false
	}
	defer f.Close()
	// As the kernel prints it: words of four bytes, each as the machine has it.
	var local strings.Builder
	for word := range slices.Chunk(want.Addr().AsSlice(), 4) {
		fmt.Fprintf(&local, "%08X", binary.NativeEndian.Uint32(word))
	}
	fmt.Fprintf(&local, ":%04X", want.Port())
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) > 3 && fields[1] == local.String() && (strings.HasPrefix(network, "udp") || fields[3] == "0A") {
			return true
		}
	}
	return false
}
