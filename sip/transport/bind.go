package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

func (e *Endpoint) bind() error {
	ctx := context.Background()
	free := map[string]int{} // the free port that was picked for a transport
	for _, l := range e.cfg.Listen {
		kind, address, err := listenEntry(l)
		if err != nil {
			return fmt.Errorf("transport: listen on %q: %w", l, err)
		}
		with := kind
		if kind == viaTCP {
			with = viaUDP
		}
		if host, ok := strings.CutSuffix(address, ":0"); ok && free[with] != 0 {
			address = host + ":" + strconv.Itoa(free[with])
		}
		var local netip.AddrPort
		if kind == viaUDP {
			local, err = e.bindUDP(ctx, address)
		} else {
			local, err = e.bindStream(ctx, kind, address)
		}
		if err != nil {
			return fmt.Errorf("transport: listen on %s: %w", l, err)
		}
		if strings.HasSuffix(l, ":0") {
			free[with] = int(local.Port())
		}
	}
	return nil
}

// portsShared reports whether several entries ask for the same free port.
func (e *Endpoint) portsShared() bool {
	n := 0
	for _, l := range e.cfg.Listen {
		if strings.HasSuffix(l, ":0") {
			n++
		}
	}
	return n > 1
}

// bindUDP binds the sockets of one entry.
func (e *Endpoint) bindUDP(ctx context.Context, address string) (local netip.AddrPort, err error) {
	network := e.cfg.Network
	sharing, ok := network.(*system)
	if e.cfg.Sockets > 1 && ok {
		network = sharing.reusingPorts()
	}
	for i := range max(1, e.cfg.Sockets) {
		if i > 0 && (!ok || !canReusePorts) {
			break
		}
		pc, err := network.ListenPacket(ctx, "udp"+family(address), address)
		if err != nil {
			return local, err
		}
		if _, err := boundTo(pc.LocalAddr()); err != nil {
			pc.Close()
			return local, err
		}
		s := newUDPSocket(e, pc)
		e.udp = append(e.udp, s)
		local = s.local
		if host, _, err := net.SplitHostPort(address); err == nil {
			address = net.JoinHostPort(host, strconv.Itoa(int(local.Port())))
		}
	}
	return local, nil
}

// bindStream binds a listener.
func (e *Endpoint) bindStream(ctx context.Context, kind, address string) (netip.AddrPort, error) {
	l := &streamListener{e: e, kind: kind}
	if isSecure(kind) {
		if !hasCertificate(e.cfg.TLS) {
			return netip.AddrPort{}, errors.New("no certificate: set Certificates, GetCertificate or GetConfigForClient of Config.TLS")
		}
		l.tls = serverTLS(e.cfg.TLS, kind)
	}
	ln, err := e.cfg.Network.Listen(ctx, "tcp"+family(address), address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if l.local, err = boundTo(ln.Addr()); err != nil {
		ln.Close()
		return netip.AddrPort{}, err
	}
	l.ln = ln
	if isWebSocket(kind) {
		l.http = e.newHTTPServer()
	}
	e.listeners = append(e.listeners, l)
	return l.local, nil
}

// hasCertificate reports whether a server can have one to show. An empty one is
// what is left of an error of tls.LoadX509KeyPair that nobody has looked at.
func hasCertificate(cfg *tls.Config) bool {
	return cfg != nil && (cfg.GetCertificate != nil || cfg.GetConfigForClient != nil ||
		slices.ContainsFunc(cfg.Certificates, func(cert tls.Certificate) bool { return len(cert.Certificate) > 0 }))
}

// listenEntry takes an entry of Config.Listen apart. An address without a port
// would be bound to all of the machine's addresses at a port of its own choice.
func listenEntry(l string) (kind, address string, err error) {
	name, address, _ := strings.Cut(l, ":")
	if kind = kindOf(name); kind == "" {
		return "", "", errors.New("network is none of udp, tcp, tls, ws and wss")
	}
	if _, port, err := net.SplitHostPort(address); err != nil || port == "" {
		return "", "", fmt.Errorf("no host and port, as in %q", name+":0.0.0.0:5060")
	}
	return kind, address, nil
}

// family returns what makes an IPv4 address, 0.0.0.0 too, stand for IPv4 alone.
// The net package would bind 0.0.0.0 for both families.
func family(address string) string {
	if addr, err := netip.ParseAddrPort(address); err == nil && addr.Addr().Is4() {
		return "4"
	}
	return ""
}

func (e *Endpoint) unbind() {
	for _, s := range e.udp {
		s.conn.Close()
	}
	for _, l := range e.listeners {
		l.ln.Close()
	}
	e.udp, e.listeners = nil, nil
}
