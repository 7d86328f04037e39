package siptest_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/miekg/dns"
)

// A domain with two proxies behind an SRV record, and a name server that says
// nothing to the first question. The client asks again after two seconds, which
// in a testing/synctest bubble take no time.
func ExampleDNS() {
	n := siptest.NewNetwork(nil)
	ns, err := siptest.NewDNS(`
		_sip._udp.example.com  SRV 10 0 5060 a.example.com
		_sip._udp.example.com  SRV 20 0 5060 b.example.com
		a.example.com          A   192.0.2.1
		b.example.com          A   192.0.2.2
	`)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ns.Close()
	if err := ns.Listen(n.Host("192.0.2.53")); err != nil {
		fmt.Println(err)
		return
	}
	host := n.Host("192.0.2.10")
	client := resolve.New(&resolve.Config{
		Transports: []string{"UDP"},
		Dialer:     host,
		Resolver:   &resolve.DNS{Dialer: host, Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")}, Timeout: time.Second / 10},
	})
	lost := false
	ns.SetScript(func(q siptest.DNSQuestion) siptest.DNSReply {
		first := !lost
		lost = true
		return siptest.DNSReply{Drop: first}
	})
	uri, err := sip.ParseURI("sip:bob@example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	targets, err := client.Targets(context.Background(), uri)
	fmt.Println(targets, err)
	for _, q := range ns.Questions()[:3] {
		fmt.Println(q)
	}
	// Output:
	// [udp:192.0.2.1:5060 udp:192.0.2.2:5060] <nil>
	// udp NAPTR example.com
	// udp NAPTR example.com
	// udp SRV _sip._udp.example.com
}

// asking is a host that asks the name server of a zone by hand.
type asking struct {
	t    *testing.T
	host *siptest.Host
	ns   *siptest.DNS
}

func serve(t *testing.T, zone string) asking {
	t.Helper()
	n := siptest.NewNetwork(nil)
	ns, err := siptest.NewDNS(zone)
	if err != nil {
		t.Fatal(err)
	}
	if err := ns.Listen(n.Host("192.0.2.53")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return asking{t, n.Host("192.0.2.10"), ns}
}

// ask returns the answers to a question that come within a second.
func (a asking) ask(network, name string, qtype uint16) []*dns.Msg {
	a.t.Helper()
	conn, err := a.host.DialContext(a.t.Context(), network, "192.0.2.53:53")
	if err != nil {
		a.t.Fatal(err)
	}
	c := dns.Conn{Conn: stream(network, conn), UDPSize: 4096}
	defer c.Close()
	if err := c.WriteMsg(new(dns.Msg).SetQuestion(name, qtype)); err != nil {
		a.t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(time.Second))
	var all []*dns.Msg
	for {
		m, err := c.ReadMsg()
		if err != nil {
			return all
		}
		all = append(all, m)
	}
}

// stream hides from dns.Conn that a connection is none of datagrams.
func stream(network string, c net.Conn) net.Conn {
	if network == "tcp" {
		return struct{ net.Conn }{c}
	}
	return c
}

func answers(m *dns.Msg) (all []string) {
	for _, rr := range m.Answer {
		all = append(all, strings.Join(strings.Fields(rr.String()), " "))
	}
	return all
}

// The server answers as the resolver of a network does: records, aliases that
// it follows, wildcards, and what is not there with the SOA of the domain.
func TestDNSAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, `
			$ORIGIN example.com.
			@        SOA ns admin 1 3600 600 86400 60
			www      CNAME Host
			host 60  A 192.0.2.1
			*._tcp 300 SRV 0 0 0 .
			loop     CNAME loop
		`)
		for _, c := range []struct {
			name  string
			qtype uint16
			rcode int
			want  []string
			soa   bool
		}{
			{"Host.Example.com.", dns.TypeA, dns.RcodeSuccess, []string{"Host.Example.com. 60 IN A 192.0.2.1"}, false},
			{"www.example.com.", dns.TypeA, dns.RcodeSuccess, []string{"www.example.com. 300 IN CNAME Host.example.com.", "Host.example.com. 60 IN A 192.0.2.1"}, false},
			{"host.example.com.", dns.TypeAAAA, dns.RcodeSuccess, nil, true},
			{"nowhere.example.com.", dns.TypeA, dns.RcodeNameError, nil, true},
			{"_sip._tcp.example.com.", dns.TypeSRV, dns.RcodeSuccess, []string{"_sip._tcp.example.com. 300 IN SRV 0 0 0 ."}, false},
			{"_tcp.example.com.", dns.TypeSRV, dns.RcodeSuccess, nil, true},
			{"example.org.", dns.TypeA, dns.RcodeNameError, nil, false},
		} {
			got := a.ask("udp", c.name, c.qtype)
			if len(got) != 1 || got[0].Rcode != c.rcode || !slices.Equal(answers(got[0]), c.want) || (len(got[0].Ns) == 1) != c.soa {
				t.Errorf("%s: %v, want code %d, %v", c.name, got, c.rcode, c.want)
			}
		}
		if got := a.ask("tcp", "loop.example.com.", dns.TypeA); len(got) != 1 || len(got[0].Answer) < 2 {
			t.Errorf("an alias of itself: %v, want it a few times", got)
		}
	})
}

// Faults by script: each is what the next question meets.
func TestDNSScript(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := serve(t, "example.com A 192.0.2.1")
		ask := func(reply siptest.DNSReply) []*dns.Msg {
			a.ns.SetScript(func(siptest.DNSQuestion) siptest.DNSReply { return reply })
			return a.ask("udp", "example.com.", dns.TypeA)
		}
		if got := ask(siptest.DNSReply{Drop: true}); got != nil {
			t.Errorf("dropped: %v, want nothing", got)
		}
		if got := ask(siptest.DNSReply{Delay: 2 * time.Second}); got != nil {
			t.Errorf("late: %v within a second, want nothing", got)
		}
		if got := ask(siptest.DNSReply{Rcode: "REFUSED"}); len(got) != 1 || got[0].Rcode != dns.RcodeRefused {
			t.Errorf("refused: %v", got)
		}
		if got := ask(siptest.DNSReply{Rcode: "no such code"}); len(got) != 1 || got[0].Rcode != dns.RcodeServerFailure {
			t.Errorf("failing: %v", got)
		}
		if got := ask(siptest.DNSReply{Truncate: true}); len(got) != 1 || !got[0].Truncated || len(got[0].Answer) != 0 {
			t.Errorf("truncated: %v", got)
		}
		got := ask(siptest.DNSReply{Edit: func(b []byte) [][]byte {
			other := slices.Clone(b)
			other[0]++
			return [][]byte{other, b}
		}})
		if len(got) != 2 || got[0].Id == got[1].Id {
			t.Errorf("edited: %v, want two answers with different ids", got)
		}
		if got := a.ns.Questions(); len(got) != 6 || got[5].String() != "udp A example.com" {
			t.Errorf("Questions() = %v, want 6", got)
		}
		a.ns.SetScript(nil)
		if err := a.ns.SetZone(strings.Repeat("example.com A 192.0.2.1\nexample.com A 192.0.2.2\n", 40)); err != nil {
			t.Fatal(err)
		}
		if got := a.ask("udp", "example.com.", dns.TypeA); len(got) != 1 || !got[0].Truncated {
			t.Errorf("more than 512 bytes: %v, want it cut", got)
		}
		if got := a.ask("tcp", "example.com.", dns.TypeA); len(got) != 1 || len(got[0].Answer) != 80 {
			t.Errorf("over TCP: %v, want all of it", got)
		}
	})
}

// A zone that cannot be read is an error, and so is a port that is taken.
func TestDNSErrors(t *testing.T) {
	if _, err := siptest.NewDNS("example.com A not.an.address"); err == nil {
		t.Error("a zone with a bad record is taken")
	}
	h := siptest.NewNetwork(nil).Host("192.0.2.53")
	for i := range 2 {
		ns, err := siptest.NewDNS("")
		if err != nil {
			t.Fatal(err)
		}
		defer ns.Close()
		if err := ns.Listen(h); (err != nil) != (i > 0) {
			t.Errorf("Listen number %d: %v", i+1, err)
		}
	}
}

// Over the sockets of the operating system, for other programs to ask.
func TestDNSSystemSockets(t *testing.T) {
	ns, err := siptest.NewDNS("example.com A 192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- ns.ServePacket(pc) }() // ends with Close
	go func() { ended <- ns.Serve(l) }()        // ends with Close
	for network, addr := range map[string]net.Addr{"udp": pc.LocalAddr(), "tcp": l.Addr()} {
		c := dns.Client{Net: network}
		m, _, err := c.Exchange(new(dns.Msg).SetQuestion("example.com.", dns.TypeA), addr.String())
		if err != nil || len(m.Answer) != 1 {
			t.Errorf("%s: %v, %v, want an answer", network, m, err)
		}
	}
	ns.Close()
	for range 2 {
		if err := <-ended; err == nil {
			t.Error("serving ended without an error")
		}
	}
}

// A zone that cannot be read has no name server.
func TestNewDNSFails(t *testing.T) {
	if d, err := siptest.NewDNS("example.com A"); err == nil || d != nil {
		t.Errorf("%v, %v, want an error alone", d, err)
	}
}
