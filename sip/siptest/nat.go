package siptest

import (
	"net/netip"
	"time"
)

// NATBehavior says what two packets that a host sends from one address and port
// must have in common for a NAT to treat them alike: RFC 4787 sections 4.1 and
// 5.
type NATBehavior int

const (
	// EndpointIndependent: nothing.
	EndpointIndependent NATBehavior = iota
	// AddressDependent: the address they go to.
	AddressDependent
	// AddressAndPortDependent: the address and port they go to.
	AddressAndPortDependent
)

// part returns what of an address the behavior looks at.
func (b NATBehavior) part(ap netip.AddrPort) netip.AddrPort {
	switch b {
	case EndpointIndependent:
		return netip.AddrPort{}
	case AddressDependent:
		return netip.AddrPortFrom(ap.Addr(), 0)
	}
	return ap
}

// NATConfig says what a [NAT] is like. The four of RFC 3489 section 5 are
//
//	full cone             &NATConfig{}, or nil
//	restricted cone       &NATConfig{Filtering: AddressDependent}
//	port restricted cone  &NATConfig{Filtering: AddressAndPortDependent}
//	symmetric             &NATConfig{Mapping: AddressAndPortDependent, Filtering: AddressAndPortDependent}
type NATConfig struct {
	// Mapping says which packets leave from the same outside port (RFC 4787
	// section 4.1). Zero is EndpointIndependent: all from one inside port.
	Mapping NATBehavior

	// Filtering says who may send datagrams in (RFC 4787 section 5): with
	// EndpointIndependent, which is zero, everyone who knows the outside port;
	// with the others, those to whom the inside port has sent within Timeout.
	Filtering NATBehavior

	// Timeout is how long a binding of UDP lasts after the last datagram out;
	// one that comes in does not extend it (RFC 4787 section 4.3). Zero means
	// 30 seconds: less than the two minutes that RFC 4787 wants, but what RFC
	// 5626 section 4.4.2 reckons with.
	Timeout time.Duration

	// IdleTimeout is how long a TCP connection may say nothing. It is then
	// forgotten in silence: its ends stay open, and nothing passes any more.
	// Zero means 2 hours and 4 minutes, the least that RFC 5382 section 5
	// allows.
	IdleTimeout time.Duration

	// NewPorts gives each binding another outside port than the one before
	// had. False keeps the inside port, unless that is taken.
	NewPorts bool
}

// A NAT is a box with hosts behind it, which share its address. Packets that
// leave are as if they came from the box, and what comes to the box goes to the
// host that has a binding there, or nowhere.
//
// The box stands beside its hosts: from them to it is no delay and no loss, and
// a link or a cut between one of them and a host elsewhere is one between the
// box and that host. Hosts behind one box reach each other directly, and by the
// box's address as others reach them (hairpinning).
//
// It translates between addresses of one family, and has no port forwarding.
type NAT struct {
	n      *Network
	config NATConfig
	name   string // the address that it began with

	// Network.mu guards what follows.
	face     *Host // the box as the network sees it; its ports are bindings
	hosts    map[netip.Addr]*Host
	bindings map[bindingKey]*binding
}

// NAT puts a box on the network, at an IPv4 or IPv6 address that nobody else
// has. A nil config is the zero value. It panics if addr is in use, or not the
// address of one machine.
func (n *Network) NAT(addr string, config *NATConfig) *NAT {
	var c NATConfig
	if config != nil {
		c = *config
	}
	if c.Timeout <= 0 {
		c.Timeout = 30 * time.Second
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 2*time.Hour + 4*time.Minute
	}
	ip := hostAddr(addr)
	n.mu.Lock()
	defer n.mu.Unlock()
	box := &NAT{n: n, config: c, name: addr, hosts: make(map[netip.Addr]*Host), bindings: make(map[bindingKey]*binding)}
	box.face = newHost(n, ip)
	box.face.box = box
	box.settle(ip)
	return box
}

// settle takes an address. Network.mu is held.
func (box *NAT) settle(ip netip.Addr) {
	if box.n.hosts[ip] != nil {
		panic("siptest: address " + ip.String() + " of a NAT is in use")
	}
	box.face.addr = ip
	box.n.hosts[ip] = box.face
}

// Host returns the machine behind the box with the given address, which comes
// into being on first use. Other boxes may have one with the same address. It
// panics if addr is not the address of one machine, or of another family than
// the box's.
func (box *NAT) Host(addr string) *Host {
	ip := hostAddr(addr)
	box.n.mu.Lock()
	defer box.n.mu.Unlock()
	if ip.Is4() != box.face.addr.Is4() {
		panic("siptest: " + addr + " is of another family than its NAT")
	}
	h := box.hosts[ip]
	if h == nil {
		h = newHost(box.n, ip)
		h.nat = box
		box.hosts[ip] = h
	}
	return h
}

// Addr returns the address at which the network sees the box.
func (box *NAT) Addr() netip.Addr {
	box.n.mu.Lock()
	defer box.n.mu.Unlock()
	return box.face.addr
}

// Reboot forgets all bindings: nobody gets in until he is sent to, and TCP
// connections stay open with nothing passing. New bindings may get the ports of
// old ones.
func (box *NAT) Reboot() {
	box.n.mu.Lock()
	defer box.n.mu.Unlock()
	box.n.run() // what has arrived by now has arrived
	box.forget()
}

// Move gives the box another address, as a provider does over night, and
// forgets all bindings. What is on its way to the old one is lost. It panics if
// addr is in use, or of another family.
func (box *NAT) Move(addr string) {
	ip := hostAddr(addr)
	box.n.mu.Lock()
	defer box.n.mu.Unlock()
	if ip.Is4() != box.face.addr.Is4() {
		panic("siptest: " + addr + " is of another family than its NAT")
	}
	box.n.run() // still there
	old := box.face.addr
	box.settle(ip)
	delete(box.n.hosts, old)
	box.forget()
}

// realm tells hosts with one address behind several NATs apart.
func (h *Host) realm() string {
	if h.nat == nil {
		return ""
	}
	return " behind " + h.nat.name
}

// forget ends all bindings. Network.mu is held.
func (box *NAT) forget() {
	for _, b := range box.bindings {
		b.end()
	}
}
