package resolve

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// A question is one that is on the wire.
type question struct {
	id      uint16
	name    string // in the case that it is asked in, with the final dot
	t       Type
	message []byte
}

// newQuestion makes a message of a question. Its id and the case of its letters
// are all that an answer is known by, besides addresses (RFC 5452 section 4.5):
// who cannot read the question has to guess them.
func newQuestion(name string, t Type, edns bool) (*question, error) {
	var chance [2 + 256/8]byte
	rand.Read(chance[:]) // never fails
	q := &question{id: binary.BigEndian.Uint16(chance[:]), t: t}
	q.name = mixCase(dns.Fqdn(name), chance[2:])
	m := dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: q.id, RecursionDesired: true},
		Question: []dns.Question{{Name: q.name, Qtype: uint16(t), Qclass: dns.ClassINET}},
	}
	if edns {
		m.SetEdns0(maxUDP, false)
	}
	var err error
	q.message, err = m.Pack()
	return q, err
}

// mixCase turns letters over, by one bit each.
func mixCase(name string, bits []byte) string {
	mixed := []byte(name)
	for i, c := range mixed {
		if i/8 < len(bits) && isLetter(c) && bits[i/8]>>(i%8)&1 == 1 {
			mixed[i] ^= 0x20
		}
	}
	return string(mixed)
}

// fold makes an answer right whatever the case of its question.
func (q *question) fold() { q.name = strings.ToLower(q.name) }

// verdict is what a message is to a question.
type verdict int

const (
	isStray  verdict = iota // not its answer
	isAnswer                // its answer
	isCut                   // the beginning of it (TC)
	isFolded                // its answer but for the case of the name
)

const headerLen = 12 // RFC 1035 section 4.1.1

// read looks at a message that may be the answer. A message that cannot be read
// is a stray, too: the answer may come after it.
func (q *question) read(b []byte) (*reply, verdict) {
	if len(b) < headerLen || binary.BigEndian.Uint16(b) != q.id {
		return nil, isStray
	}
	flags, questions := binary.BigEndian.Uint16(b[2:]), binary.BigEndian.Uint16(b[4:])
	const response, opcode, truncated, rcode = 1 << 15, 15 << 11, 1 << 9, 15
	if flags&response == 0 || flags&opcode != 0 {
		return nil, isStray
	}
	if len(b) == headerLen && flags&rcode == dns.RcodeFormatError {
		return &reply{rcode: dns.RcodeFormatError}, isAnswer // all that some have to say to EDNS
	}
	name, off, err := dns.UnpackDomainName(b, headerLen)
	if err != nil || questions != 1 || len(b) < off+4 ||
		Type(binary.BigEndian.Uint16(b[off:])) != q.t || binary.BigEndian.Uint16(b[off+2:]) != dns.ClassINET {
		return nil, isStray
	}
	if name != q.name {
		if strings.EqualFold(name, q.name) {
			return nil, isFolded
		}
		return nil, isStray
	}
	if flags&truncated != 0 {
		return nil, isCut
	}
	// Unpack is content with a message that ends after any of its records.
	answers, authorities := int(binary.BigEndian.Uint16(b[6:])), int(binary.BigEndian.Uint16(b[8:]))
	var m dns.Msg
	if m.Unpack(b) != nil || len(m.Answer) != answers || len(m.Ns) != authorities {
		return nil, isStray
	}
	return newReply(&m), isAnswer
}

// A reply is what a name server said.
type reply struct {
	rcode  int
	answer []dns.RR
	ttl    uint32 // that of what was made of it
	none   uint32 // how long what is not there is not there
	last   bool   // what is not there is not elsewhere either
	lame   bool   // it knows others to ask, and no more
}

func newReply(m *dns.Msg) *reply {
	r := &reply{rcode: m.Rcode, answer: m.Answer, last: m.Rcode == dns.RcodeNameError}
	referral := false
	for _, rr := range m.Ns {
		switch rr := rr.(type) {
		case *dns.SOA:
			r.none, r.last = min(ttlOf(rr), rr.Minttl), true // RFC 2308 section 5
		case *dns.NS:
			referral = true
		}
	}
	r.lame = len(m.Answer) == 0 && referral && !r.last && !m.Authoritative && !m.RecursionAvailable
	return r
}

// ttlOf returns how long a record may be kept, in seconds. What has the top bit
// set is 0 (RFC 2181 section 8).
func ttlOf(rr dns.RR) uint32 {
	if ttl := rr.Header().Ttl; ttl < 1<<31 {
		return ttl
	}
	return 0
}

// records returns the records of a name, or the alias under which to ask for
// them, and how many aliases led there. A name has records of its own or one
// alias; whatever else is in the answer is not about it.
func (r *reply) records(name string, t Type, maxSteps int) (answer *Answer, next string, steps int) {
	name = dns.Fqdn(name)
	r.ttl = 1<<31 - 1
	for {
		answer, alias, found := &Answer{}, "", false
		for _, rr := range r.answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
				continue
			}
			if c, ok := rr.(*dns.CNAME); ok && alias == "" && !found {
				alias = c.Target
				r.ttl = min(r.ttl, ttlOf(rr))
			} else if h.Rrtype == uint16(t) && answer.add(rr) {
				found = true
				r.ttl = min(r.ttl, ttlOf(rr))
			}
		}
		switch {
		case found:
			return answer, "", steps
		case alias != "" && steps < maxSteps:
			name = alias
			steps++
			continue
		case alias == "" && (steps == 0 || r.last):
			r.ttl = min(r.ttl, r.none)
			return answer, "", steps
		}
		return nil, name, steps
	}
}

// add adds a record, and reports whether there is something in it.
func (a *Answer) add(rr dns.RR) bool {
	switch rr := rr.(type) {
	case *dns.A:
		addr, ok := netip.AddrFromSlice(rr.A.To4())
		if ok {
			a.Addrs = append(a.Addrs, addr)
		}
		return ok
	case *dns.AAAA:
		addr, ok := netip.AddrFromSlice(rr.AAAA)
		if ok {
			a.Addrs = append(a.Addrs, addr)
		}
		return ok
	case *dns.SRV:
		a.SRV = append(a.SRV, SRV{rr.Priority, rr.Weight, rr.Port, hostOf(rr.Target)})
		return true
	case *dns.NAPTR:
		a.NAPTR = append(a.NAPTR, NAPTR{rr.Order, rr.Preference, rr.Flags, rr.Service, hostOf(rr.Replacement)})
		return true
	}
	return false
}

// hostOf returns a name without its final dot; the root is ".".
func hostOf(name string) string {
	if name == "." {
		return name
	}
	return strings.TrimSuffix(name, ".")
}
