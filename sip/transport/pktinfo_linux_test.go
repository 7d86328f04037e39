package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/goparley/parley/internal/race"
	"github.com/goparley/parley/nat/stun"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"golang.org/x/sys/unix"
)

// The tests of this file run on the sockets of the operating system, and on
// several addresses of the loopback interface.

// wildcardSockets are what an endpoint that has all addresses listens on, and
// which of them a test asks.
var wildcardSockets = []struct {
	listen string
	asked  []string
}{
	{"udp:0.0.0.0:0", []string{"127.0.0.1", "127.0.0.2", "127.1.2.3"}},
	{"udp::0", []string{"127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"}},
	{"udp:[::]:0", []string{"127.0.0.2", "::1"}},
}

// phone is a client of bare sockets.
type phone struct {
	*testing.T
	*net.UDPConn
}

// newPhone has the address that leads to all of the addresses that are asked.
func newPhone(t *testing.T, asked netip.Addr) phone {
	t.Helper()
	address := "127.0.0.1:0"
	if asked.Is6() {
		address = "[::1]:0"
	}
	c, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return phone{t, c.(*net.UDPConn)}
}

func (p phone) addr() netip.AddrPort { return addrPort(p.LocalAddr()) }

func (p phone) send(text string, to netip.AddrPort) {
	p.Helper()
	if _, err := p.WriteToUDPAddrPort([]byte(text), to); err != nil {
		p.Fatal(err)
	}
}

// expect reads a datagram that begins with prefix and comes from an address.
func (p phone) expect(prefix string, from netip.AddrPort) []byte {
	p.Helper()
	b := make([]byte, 1500)
	p.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, got, err := p.ReadFromUDPAddrPort(b)
	if err != nil {
		p.Fatalf("nothing came, want %q from %v: %v", prefix, from, err)
	}
	if got = unmap(got); got != from || !strings.HasPrefix(string(b[:n]), prefix) {
		p.Errorf("%.20q came from %v, want %q from %v", b[:n], got, prefix, from)
	}
	return b[:n]
}

// request is one of the phone's.
func (p phone) request() string {
	return message(options, "Via: SIP/2.0/UDP "+p.addr().String()+";rport;branch=z9hG4bK1")
}

// house answers every request with 200 from all addresses, and hands over what
// comes.
type house struct {
	*Endpoint
	arrived chan *Inbound
}

func newHouse(t *testing.T, cfg Config) *house {
	t.Helper()
	g := &house{arrived: make(chan *Inbound, 100)}
	cfg.Handle = func(in *Inbound) {
		if r, ok := in.Message.(*sip.Request); ok {
			in.Endpoint().Respond(in, r.Reply(sip.StatusOK))
		}
		g.arrived <- in
	}
	e, err := Listen(&cfg)
	if err != nil {
		t.Fatal(err)
	}
	g.Endpoint = e
	t.Cleanup(func() { e.Close() })
	return g
}

// at returns an address of the endpoint.
func (g *house) at(asked string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(asked), g.Addr("udp").Port())
}

// RFC 3581 section 4: the response leaves from the address and port that the
// request was sent to. RFC 5626 section 8 says it of Binding requests, and what
// a flow is good for hangs on it: a NAT lets nothing else through. So whatever
// is sent on a kept flow leaves from there, and says so.
func TestWildcardAnswersFromTheAddressAsked(t *testing.T) {
	for _, c := range wildcardSockets {
		g := newHouse(t, Config{Listen: []string{c.listen}})
		for _, asked := range c.asked {
			t.Run(c.listen+" at "+asked, func(t *testing.T) {
				self := g.at(asked)
				p := newPhone(t, self.Addr())
				p.send(p.request(), self)
				p.expect("SIP/2.0 200 ", self)
				flow := (<-g.arrived).Flow
				if want := "UDP " + self.String() + " to " + p.addr().String(); flow.String() != want {
					t.Errorf("the request came by %v, want %s", flow, want)
				}

				p.send(message(options, "Via: SIP/2.0/UDP "+p.addr().String()+";branch=z9hG4bK1", "Call-ID:"), self)
				p.expect("SIP/2.0 400 ", self) // by the port of the Via, which asks for no rport

				p.send(string(stun.NewBinding(self).Request()), self)
				p.expect("\x01\x01", self)

				if err := g.Send(flow, outgoing(t)); err != nil {
					t.Error(err)
				}
				p.expect(options, self)

				out, err := g.PrepareOn(t.Context(), outgoing(t), flow, "z9hG4bK2")
				if err != nil {
					t.Fatal(err)
				}
				if got := out.Via().SentBy(); got != self.String() {
					t.Errorf("sent-by = %s, want %v", got, self)
				}
				if uri, err := g.ContactOn(t.Context(), flow); err != nil || uri.HostPort() != self.String() {
					t.Errorf("ContactOn = %v, %v, want %v", uri, err, self)
				}
				p.send(out.Reply(sip.StatusAccepted).String(), self)
				if in := <-g.arrived; in.Flow != flow {
					t.Errorf("the response came by %v, want %v", in.Flow, flow)
				}
			})
		}
	}
}

// Keepalives go from the address whose binding in a NAT they keep: CRLF CRLF,
// and Binding requests, whose answers are known by it.
func TestWildcardKeepsItsFlowsAlive(t *testing.T) {
	for _, c := range wildcardSockets {
		g := newHouse(t, Config{Listen: []string{c.listen}})
		for _, asked := range c.asked {
			self := g.at(asked)
			p := newPhone(t, self.Addr())
			p.send(p.request(), self)
			p.expect("SIP/2.0 200 ", self)
			flow := (<-g.arrived).Flow
			stop := g.KeepAlive(flow, &KeepAlive{Interval: time.Millisecond})
			p.expect("\r\n\r\n", self)
			stop()

			q := newPhone(t, self.Addr())
			q.send(q.request(), self)
			q.expect("SIP/2.0 200 ", self)
			stop = g.KeepAlive((<-g.arrived).Flow, &KeepAlive{Interval: time.Millisecond, Answered: true})
			first := q.expect("\x00\x01", self)
			q.send(string(stun.Respond(first, self)), self)
			if next := q.expect("\x00\x01", self); string(next) == string(first) {
				t.Errorf("%s at %s: the answer to %x was not taken", c.listen, asked, first)
			}
			stop()
		}
	}
}

// Two servers that have all addresses. What comes back to a request is on the
// flow that it went by, and so is what the other sends on the flow that it has
// kept: a proxy tells by that who a request comes from (RFC 5626 section 5.3.1).
func TestWildcardFlowsAreTheSameBothWays(t *testing.T) {
	for _, c := range wildcardSockets {
		alice, bob := newHouse(t, Config{Listen: []string{c.listen}}), newHouse(t, Config{Listen: []string{c.listen}})
		for _, asked := range c.asked {
			to := resolve.Target{Transport: "UDP", Addr: bob.at(asked)}
			flow, out, err := alice.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := out.Via().SentBy(), flow.LocalAddr().String(); got != want {
				t.Errorf("sent-by = %s, want that of the flow, %s", got, want)
			}
			there := (<-bob.arrived).Flow
			if there.LocalAddr() != flow.RemoteAddr() || there.RemoteAddr() != flow.LocalAddr() {
				t.Errorf("%v arrived by %v", flow, there)
			}
			if in := <-alice.arrived; in.Flow != flow {
				t.Errorf("the response came by %v, want %v", in.Flow, flow)
			}

			back, err := bob.PrepareOn(t.Context(), outgoing(t), there, "z9hG4bK2")
			if err == nil {
				err = bob.Send(there, back)
			}
			if err != nil {
				t.Fatal(err)
			}
			if in := <-alice.arrived; in.Flow != flow {
				t.Errorf("the request came by %v, want %v", in.Flow, flow)
			}
			if in := <-bob.arrived; in.Flow != there {
				t.Errorf("the response to it came by %v, want %v", in.Flow, there)
			}
		}
	}
}

// A token keeps the address that was asked. It is good for an endpoint that is
// started again at the same port, also where that has but the one address.
func TestWildcardFlowTokens(t *testing.T) {
	for _, c := range wildcardSockets {
		g := newHouse(t, Config{Listen: []string{c.listen}, FlowKey: flowKey})
		phones, tokens := map[string]phone{}, map[string]string{}
		for _, asked := range c.asked {
			self := g.at(asked)
			p := newPhone(t, self.Addr())
			p.send(p.request(), self)
			p.expect("SIP/2.0 200 ", self)
			flow := (<-g.arrived).Flow
			phones[asked], tokens[asked] = p, g.FlowToken(flow)
			got, err := g.FlowOf(tokens[asked])
			if got != flow || err != nil {
				t.Errorf("FlowOf = %v, %v, want %v", got, err, flow)
			}
			if err := g.Send(got, outgoing(t)); err != nil {
				t.Error(err)
			}
			p.expect(options, self)
		}
		unknown := Flow{via: g.udp[0], remote: netip.MustParseAddrPort("127.0.0.1:5060")}
		if got, err := g.FlowOf(g.FlowToken(unknown)); got != unknown || err != nil {
			t.Errorf("FlowOf = %v, %v, want %v", got, err, unknown)
		}
		g.Close()

		for _, host := range c.asked {
			again := newHouse(t, Config{Listen: []string{"udp:" + g.at(host).String()}, FlowKey: flowKey})
			for asked, token := range tokens {
				flow, err := again.FlowOf(token)
				switch {
				case asked != host:
					if !errors.Is(err, ErrNoFlow) {
						t.Errorf("bound to %s, FlowOf = %v, %v, want ErrNoFlow", host, flow, err)
					}
				case err != nil:
					t.Errorf("bound to %s, FlowOf = %v", host, err)
				default:
					if err := again.Send(flow, outgoing(t)); err != nil {
						t.Error(err)
					}
					phones[asked].expect(options, again.Addr("udp"))
				}
			}
			again.Close()
		}
	}
}

// What comes to a group, or to all of a subnet, is answered from the address
// that leads to the peer: that of a group is nobody's to send from.
func TestWildcardGroups(t *testing.T) {
	const group = "239.255.7.7"
	for _, listen := range []string{"udp:0.0.0.0:0", "udp::0"} {
		g := newHouse(t, Config{Listen: []string{listen}, Network: joining{&system{}, group}})
		p := newPhone(t, netip.AddrFrom4([4]byte{127, 0, 0, 1}))
		p.sendsGroupsOnLoopback()
		for _, asked := range []string{group, "127.255.255.255"} {
			p.send(p.request(), g.at(asked))
			p.expect("SIP/2.0 200 ", g.at("127.0.0.1"))
			flow := (<-g.arrived).Flow
			if flow.LocalAddr() != g.Addr("udp") {
				t.Errorf("%s at %s: the request came by %v, want the wildcard", listen, asked, flow)
			}
			if got, err := g.FlowOf(g.FlowToken(flow)); got != flow || err != nil {
				t.Errorf("FlowOf = %v, %v, want %v", got, err, flow)
			}
		}
		// RFC 3261 section 18.2.2: the response to a maddr is sent to the group,
		// by the interface that the system has for that.
		via := sip.Via{Transport: "UDP", Host: "127.0.0.1", Port: 5060, Params: ";maddr=" + group + ";branch=z9hG4bK1"}
		p.send(p.request(), g.at("127.0.0.2"))
		p.expect("SIP/2.0 200 ", g.at("127.0.0.2"))
		if to := responseFlow(via, (<-g.arrived).Flow); to.LocalAddr() != g.Addr("udp") || to.RemoteAddr().String() != group+":5060" {
			t.Errorf("the response to a maddr goes by %v", to)
		}
		to := resolve.Target{Transport: "UDP", Addr: netip.MustParseAddrPort(group + ":5060")}
		if flow, err := g.flowTo(t.Context(), to, forRequest); err != nil || flow.LocalAddr() != g.Addr("udp") {
			t.Errorf("a request to a group goes by %v, %v, want the wildcard", flow, err)
		}
	}
}

// joining is the system's network, where sockets belong to a group on the
// loopback interface.
type joining struct {
	*system
	group string
}

func (j joining) ListenPacket(ctx context.Context, network, address string) (net.PacketConn, error) {
	pc, err := j.system.ListenPacket(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return pc, control(pc, func(fd int) error {
		return unix.SetsockoptIPMreq(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &unix.IPMreq{
			Multiaddr: netip.MustParseAddr(j.group).As4(), Interface: [4]byte{127, 0, 0, 1},
		})
	})
}

func (p phone) sendsGroupsOnLoopback() {
	p.Helper()
	if err := control(p.UDPConn, func(fd int) error {
		return unix.SetsockoptInet4Addr(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, [4]byte{127, 0, 0, 1})
	}); err != nil {
		p.Fatal(err)
	}
}

// control does something to the descriptor of a socket.
func control(pc net.PacketConn, f func(fd int) error) error {
	raw, err := pc.(syscall.Conn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = f(int(fd)) })
	return errors.Join(err, failed)
}

// An address that the machine has lost is nothing to send from. Another may do,
// and where requests leave from is asked again.
func TestWildcardWithoutTheAddressAsked(t *testing.T) {
	for _, c := range []struct{ listen, lost string }{
		{"udp:0.0.0.0:0", "203.0.113.7"}, {"udp::0", "203.0.113.7"}, {"udp::0", "2001:db8::7"},
	} {
		g := newHouse(t, Config{Listen: []string{c.listen}})
		lost := netip.MustParseAddr(c.lost)
		p := newPhone(t, lost)
		if err := g.udp[0].wildcard.writeFrom([]byte("x"), lost, p.addr()); !isNotOurs(err) {
			t.Errorf("%s: from %v: %v, want an error that says that it is not ours", c.listen, lost, err)
		}
		g.mu.Lock()
		g.routes[p.addr().Addr()] = route{lost, time.Now().Add(time.Hour)}
		g.mu.Unlock()
		to := resolve.Target{Transport: "UDP", Addr: p.addr()}
		flow, _, err := g.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK1")
		if err != nil || flow.LocalAddr().Addr() != lost {
			t.Errorf("%s: the request went by %v, %v", c.listen, flow, err)
		}
		self := netip.AddrPortFrom(p.addr().Addr(), g.Addr("udp").Port())
		p.expect(options, self)
		if flow, _, err = g.SendRequest(t.Context(), outgoing(t), to, "z9hG4bK2"); err != nil || flow.LocalAddr() != self {
			t.Errorf("%s: the next request went by %v, %v, want %v", c.listen, flow, err, self)
		}
		p.expect(options, self)
	}
}

// A socket that has one address costs what it did, and so does one on a network
// of the program's own.
func TestOneAddressIsNoWildcard(t *testing.T) {
	for _, listen := range []string{"udp:127.0.0.2:0", "udp:[::1]:0"} {
		g := newHouse(t, Config{Listen: []string{listen}})
		if g.udp[0].wildcard != nil {
			t.Errorf("%s is a wildcard", listen)
		}
		p := newPhone(t, g.Addr("udp").Addr())
		p.send(p.request(), g.Addr("udp"))
		p.expect("SIP/2.0 200 ", g.Addr("udp"))
		if f := (<-g.arrived).Flow; f.local.IsValid() {
			t.Errorf("the request came by %#v, want no address beside that of the socket", f)
		}
	}
	play(t, nil, func(s *scene) {
		if e := s.listen(&Config{Listen: []string{"udp:0.0.0.0:5060"}}); e.udp[0].wildcard != nil {
			t.Error("a socket in memory is a wildcard of the system")
		}
	})
}

// Nothing is allocated to learn where a datagram was sent to, or to send from
// there.
func TestWildcardAllocations(t *testing.T) {
	for _, network := range []string{"udp4", "udp"} {
		pc, err := net.ListenPacket(network, ":0")
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		c := newWildcardConn(pc.(*net.UDPConn))
		home := netip.AddrFrom4([4]byte{127, 0, 0, 2})
		self := netip.AddrPortFrom(home, addrPort(pc.LocalAddr()).Port())
		b := make([]byte, 100)
		got := testing.AllocsPerRun(100, func() {
			if err := c.writeFrom(b[:5], home, self); err != nil {
				t.Fatal(err)
			}
			n, to, from, err := c.readTo(b)
			if n != 5 || to != home || unmap(from) != self || err != nil {
				t.Fatalf("%d bytes to %v from %v, %v, want 5 to and from %v", n, to, from, err, self)
			}
		})
		if most := race.PoolMisses; got > float64(most) {
			t.Errorf("%s: %v allocations, want none", network, got)
		}
	}
}

// Control messages, as they come with a datagram and as they do not.
func TestAskedByControlMessages(t *testing.T) {
	four := func(ours, asked string) []byte {
		return unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: 1,
			Spec_dst: netip.MustParseAddr(ours).As4(), Addr: netip.MustParseAddr(asked).As4()})
	}
	six := func(asked string) []byte {
		return unix.PktInfo6(&unix.Inet6Pktinfo{Addr: netip.MustParseAddr(asked).As16(), Ifindex: 1})
	}
	for _, c := range []struct {
		name    string
		control []byte
		zone    string
		want    string
	}{
		{"nothing", nil, "", "invalid IP"},
		{"IPv4", four("192.0.2.1", "192.0.2.1"), "", "192.0.2.1"},
		{"a group of IPv4", four("192.0.2.1", "224.0.1.75"), "", "invalid IP"},
		{"a subnet", four("192.0.2.1", "192.0.2.255"), "", "invalid IP"},
		{"IPv6", six("2001:db8::1"), "", "2001:db8::1"},
		{"IPv6 from one link", six("2001:db8::1"), "eth0", "2001:db8::1"},
		{"a group of IPv6", six("ff02::1"), "eth0", "invalid IP"},
		{"one link", six("fe80::1"), "eth0", "fe80::1%eth0"},
		{"one link, from elsewhere", six("fe80::1"), "", "invalid IP"},
		{"IPv4 by a socket of IPv6", append(six("::ffff:192.0.2.1"), four("192.0.2.1", "192.0.2.1")...), "", "192.0.2.1"},
		{"a subnet by a socket of IPv6", append(six("::ffff:192.0.2.255"), four("192.0.2.1", "192.0.2.255")...), "", "invalid IP"},
		{"IPv4 mapped alone", six("::ffff:192.0.2.1"), "", "invalid IP"},
	} {
		if got := asked(c.control, c.zone).String(); got != c.want {
			t.Errorf("%s: asked = %s, want %s", c.name, got, c.want)
		}
		for i := range c.control {
			asked(c.control[:i], c.zone) // does not panic
		}
	}
}
