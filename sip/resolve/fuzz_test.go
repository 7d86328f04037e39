package resolve

import (
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// FuzzAnswer reads what a name server may send, and what becomes of it: never a
// panic, never a target that is not in order, never more than there is room for.
func FuzzAnswer(f *testing.F) {
	for _, zone := range []string{
		"example.com. 300 IN A 192.0.2.1\nexample.com. 300 IN A 192.0.2.2",
		"example.com. 300 IN CNAME a.example.com.\na.example.com. 5 IN AAAA 2001:db8::1",
		"example.com. 300 IN CNAME example.com.",
		"example.com. 300 IN SRV 0 0 5060 .",
		"example.com. 300 IN SRV 10 20 5060 a.example.com.\nexample.com. 4294967295 IN SRV 1 0 0 b\\000.example.com.",
		`example.com. 300 IN NAPTR 10 20 "s" "SIP+D2U" "!^(a*)*$!x!" _sip._udp.example.com.`,
		"",
	} {
		m := new(dns.Msg).SetQuestion("example.com.", dns.TypeA)
		m.Response, m.Compress = true, true
		p := dns.NewZoneParser(strings.NewReader(zone), ".", "")
		for rr, ok := p.Next(); ok; rr, ok = p.Next() {
			m.Question[0].Qtype = rr.Header().Rrtype
			m.Answer = append(m.Answer, rr)
		}
		soa, err := dns.NewRR("example.com. 300 IN SOA ns admin 1 3600 600 86400 60")
		if err != nil {
			f.Fatal(err)
		}
		m.Ns = []dns.RR{soa}
		m.SetEdns0(maxUDP, false)
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, m.Question[0].Qtype)
	}
	f.Fuzz(func(t *testing.T, b []byte, qtype uint16) {
		q := &question{name: "example.com.", t: Type(qtype)}
		if len(b) > 1 {
			q.id = uint16(b[0])<<8 | uint16(b[1])
		}
		r, verdict := q.read(b)
		if (verdict == isAnswer) != (r != nil) {
			t.Fatalf("verdict %d with reply %v", verdict, r)
		}
		if r == nil {
			return
		}
		a, next, steps := r.records("example.com", q.t, maxAliases)
		if a == nil && steps == 0 || steps > maxAliases || a == nil && next == "" {
			t.Fatalf("answer %v, next %q after %d steps: that never ends", a, next, steps)
		}
		kept, err := tidy(q.t, a, nil)
		if err != nil || len(kept.Addrs)+len(kept.SRV)+len(kept.NAPTR) > maxRecords {
			t.Fatalf("%v, %v", kept, err)
		}
		for _, addr := range kept.Addrs {
			if !addr.IsValid() || addr.Zone() != "" {
				t.Fatalf("address %v", addr)
			}
		}
	})
}

// FuzzFiles reads resolv.conf and hosts files of any kind.
func FuzzFiles(f *testing.F) {
	f.Add([]byte("nameserver 192.0.2.53\noptions timeout:1 attempts:2\n"))
	f.Add([]byte("127.0.0.1 localhost # here\n::1 localhost\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c := parseResolvConf(b); len(c.servers) > 3 || c.timeout <= 0 || c.attempts <= 0 {
			t.Errorf("%q: %v", b, c)
		}
		parseHosts(b)
	})
}
