package sip

import "strconv"

// RSeq is the RSeq header field, 1 to 4294967295: the number of a reliable
// provisional response (RFC 3262 section 7.1).
type RSeq uint32

// HeaderName returns "RSeq".
func (RSeq) HeaderName() string { return "RSeq" }

// ParseValue reads an RSeq.
func (RSeq) ParseValue(s string) (RSeq, error) {
	c := scanner{s: s}
	return scanned(&c, c.rseq())
}

func (c *scanner) rseq() RSeq {
	n := c.number(1<<32-1, "1 to 4294967295")
	if n == 0 {
		c.fail("expected 1 to 4294967295")
	}
	return RSeq(n)
}

// AppendValue appends the value.
func (r RSeq) AppendValue(b []byte) []byte { return strconv.AppendUint(b, uint64(r), 10) }

// RAck is the RAck header field of a PRACK: which response it is for, by the
// RSeq of the response and the CSeq that it shares with its request (RFC 3262
// section 7.2). Two of them are the same if they are equal by ==.
type RAck struct {
	RSeq RSeq
	CSeq CSeq
}

// HeaderName returns "RAck".
func (RAck) HeaderName() string { return "RAck" }

// ParseValue reads a RAck.
func (RAck) ParseValue(s string) (h RAck, err error) {
	c := scanner{s: s}
	h.RSeq = c.rseq()
	c.space("the CSeq")
	h.CSeq.Seq = uint32(c.number(1<<31-1, "0 to 2147483647"))
	c.space("the method")
	h.CSeq.Method = Method(c.token("a method"))
	return scanned(&c, h)
}

// AppendValue appends the value.
func (r RAck) AppendValue(b []byte) []byte {
	return r.CSeq.AppendValue(append(r.RSeq.AppendValue(b), ' '))
}
