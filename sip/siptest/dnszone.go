package siptest

import (
	"strings"

	"github.com/miekg/dns"
)

// zone is what a name server knows: its records by name, in lower case and with
// the final dot. A name above one that has records is there, too, without any.
type zone map[string][]dns.RR

func parseZone(text string) (zone, error) {
	z := make(zone)
	p := dns.NewZoneParser(strings.NewReader(dedent(text)), ".", "")
	p.SetDefaultTTL(300)
	for rr, ok := p.Next(); ok; rr, ok = p.Next() {
		name := strings.ToLower(rr.Header().Name)
		z[name] = append(z[name], rr)
		for name = parent(name); name != "" && z[name] == nil; name = parent(name) {
			z[name] = []dns.RR{}
		}
	}
	return z, p.Err()
}

// dedent takes away the white space that all lines begin with: what is left at
// the beginning of a line stands for the name of the line before.
func dedent(text string) string {
	const blank = " \t"
	all := strings.Split(text, "\n")
	indent, first := "", true
	for _, line := range all {
		rest := strings.TrimLeft(line, blank)
		if rest == "" {
			continue
		}
		if own := line[:len(line)-len(rest)]; first {
			indent, first = own, false
		} else {
			for !strings.HasPrefix(own, indent) {
				indent = indent[:len(indent)-1]
			}
		}
	}
	for i, line := range all {
		all[i] = strings.TrimPrefix(line, indent)
	}
	return strings.Join(all, "\n")
}

// parent returns the domain that a name is in, "" for that of the root.
func parent(name string) string {
	i, end := dns.NextLabel(name, 0)
	switch {
	case name == ".":
		return ""
	case end:
		return "."
	}
	return name[i:]
}

// find returns the records of a name, those of a wildcard if there are no
// others (RFC 4592), and whether the name exists.
func (z zone) find(name string) (records []dns.RR, exists bool) {
	name = strings.ToLower(name)
	if records, exists = z[name]; exists {
		return records, true
	}
	for above := parent(name); above != ""; above = parent(above) {
		if records, exists = z["*."+above]; exists {
			return records, true
		}
		if _, exists = z[above]; exists {
			return nil, false // the closest encloser has no wildcard
		}
	}
	return nil, false
}

// maxAliases is how many CNAME records an answer has at most.
const maxAliases = 8

// answer puts what there is to the question of a message into it.
func (z zone) answer(m *dns.Msg) {
	name := m.Question[0].Name
	for range maxAliases {
		records, exists := z.find(name)
		alias, found := "", false
		for _, rr := range records {
			switch rr.Header().Rrtype {
			case m.Question[0].Qtype:
				found = true
			case dns.TypeCNAME:
				alias = rr.(*dns.CNAME).Target
			default:
				continue
			}
			rr = dns.Copy(rr)
			rr.Header().Name = name // in the case of the question, and with no wildcard in it
			m.Answer = append(m.Answer, rr)
		}
		switch {
		case found:
			return
		case alias != "":
			name = alias
			continue
		case !exists:
			m.Rcode = dns.RcodeNameError
		}
		m.Ns = z.soa(name)
		return
	}
}

// soa returns the SOA record of the domain that a name is in.
func (z zone) soa(name string) []dns.RR {
	for name = strings.ToLower(name); name != ""; name = parent(name) {
		for _, rr := range z[name] {
			if rr.Header().Rrtype == dns.TypeSOA {
				return []dns.RR{rr}
			}
		}
	}
	return nil
}
