package interop

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// NSD is a name server.
type NSD struct {
	Addr netip.AddrPort // an address of 127/8, and port 53, for some clients know no other
}

// StartNSD starts a name server for the zone sip.test. zone is the text of a
// master file (RFC 1035 section 5) without SOA and NS records; names in it are
// relative to the zone.
func StartNSD(t testing.TB, zone string) *NSD {
	t.Helper()
	path := program(t, "nsd", "nsd")
	dir := t.TempDir()
	s := &NSD{Addr: nameServerAddr(t)}
	text := "$ORIGIN sip.test.\n$TTL 300\n@ SOA ns host 1 3600 600 86400 60\n@ NS ns\nns A " + s.Addr.Addr().String() + "\n" + zone
	if err := os.WriteFile(filepath.Join(dir, "zone"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := filepath.Join(dir, "nsd.conf")
	config(t, "nsd.conf", cfg, "ADDR", s.Addr.Addr().String(), "DIR", dir)
	p := start(t, dir, nil, path, "-d", "-c", cfg)
	p.ready(t, func() bool { return bound("udp", s.Addr.String()) && bound("tcp", s.Addr.String()) })
	return s
}

// nameServerAddr returns a loopback address at which port 53 is free.
func nameServerAddr(t testing.TB) netip.AddrPort {
	t.Helper()
	for range 100 {
		host := netip.AddrFrom4([4]byte{127, byte(1 + rand.IntN(250)), byte(rand.IntN(250)), byte(1 + rand.IntN(250))})
		addr := netip.AddrPortFrom(host, 53)
		if c, err := net.ListenPacket("udp", addr.String()); err == nil {
			c.Close()
			return addr
		} else if os.IsPermission(err) {
			t.Fatalf("a name server needs root, or a network of one's own: %v", err)
		}
	}
	t.Fatal("port 53 is taken at every loopback address")
	return netip.AddrPort{}
}

// A Target is one place at which a URI may be reached, as sip-dig says it.
type Target struct {
	Rank      int     // targets with a lower one come first
	Weight    float64 // how often it is to be the first of those with its rank, measured against theirs
	Transport string  // "udp", "tcp" or "tls"
	Addr      netip.AddrPort
}

func (t Target) String() string {
	return fmt.Sprintf("%d %.3f %s:%s", t.Rank, t.Weight, t.Transport, t.Addr)
}

// SIPDig asks Sofia-SIP where a URI is to be reached (RFC 3263 section 4), for
// UDP, TCP and TLS. No target and no error means that there is none.
//
// Of the NAPTR records that it can use it takes those with the lowest order
// (RFC 3403 section 4.1), and leaves out the others.
func SIPDig(t testing.TB, server *NSD, uri string) ([]Target, error) {
	t.Helper()
	dir := t.TempDir()
	conf := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver "+server.Addr.Addr().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Without an answer it writes the same complaint for ever.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(t, "sip-dig", "sofia-sip-bin"), "--udp", "--tcp", "--tls", uri)
	cmd.Env = append(os.Environ(), "SRESOLV_CONF="+conf)
	var out bytes.Buffer
	errs := &limited{n: 4000}
	cmd.Stdout, cmd.Stderr = &out, errs
	if err := cmd.Run(); err != nil {
		if strings.HasSuffix(strings.TrimSpace(errs.String()), ": not found") {
			return nil, nil
		}
		return nil, fmt.Errorf("sip-dig %s: %w: %s", uri, err, errs)
	}
	var targets []Target
	for line := range strings.Lines(out.String()) {
		target, err := parseTarget(strings.Fields(line))
		if err != nil {
			return nil, fmt.Errorf("sip-dig %s: %w in %q", uri, err, line)
		}
		targets = append(targets, target)
	}
	return targets, nil
}

// parseTarget reads a line such as "1 0.500 tls 5061 192.0.2.1".
func parseTarget(f []string) (t Target, err error) {
	if len(f) != 5 {
		return t, fmt.Errorf("%d words, want 5", len(f))
	}
	if t.Rank, err = strconv.Atoi(f[0]); err != nil {
		return t, err
	}
	if t.Weight, err = strconv.ParseFloat(f[1], 64); err != nil {
		return t, err
	}
	t.Transport = f[2]
	t.Addr, err = netip.ParseAddrPort(net.JoinHostPort(strings.Trim(f[4], "[]"), f[3]))
	return t, err
}

// limited keeps the first n bytes that are written to it.
type limited struct {
	bytes.Buffer
	n int
}

func (l *limited) Write(p []byte) (int, error) {
	l.Buffer.Write(p[:min(len(p), l.n-l.Len())])
	return len(p), nil
}
