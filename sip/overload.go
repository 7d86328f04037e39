package sip

import (
	"strconv"
	"strings"
	"time"
)

// OverloadControl is what the oc parameters of a Via say (RFC 7339 section 4). A
// client offers to hold requests back, and its server tells it how many: in the
// topmost Via of each response. The zero value is that of a server which wants
// none held back.
type OverloadControl struct {
	// Offer is what a client says: "oc" without a value. OC, Validity and Seq are
	// not for it to say.
	Offer bool

	// OC is what the server wants, by the algorithm: with "loss" the percentage of
	// requests to hold back, with "rate" how many to send in a second.
	OC uint32

	// Algo is the algorithm, "loss", or in an offer those that the client has, with
	// commas between them: "loss,rate".
	Algo string

	// Validity is how long this goes, in whole milliseconds, below 2^32 of them.
	// Zero ends it. A response that does not say so means 500.
	Validity time.Duration

	// Seq orders what a server says: what has a higher Seq came later. It counts
	// steps of 0.00001, below 10^17, of what the parameter has as decimals. A
	// server may use its clock: uint64(now.UnixMicro() / 10).
	Seq uint64
}

// OverloadControl returns what the oc parameters say. ok is false if they are not
// there, or say nothing that can be read.
func (v Via) OverloadControl() (oc OverloadControl, ok bool) {
	value, ok := v.Params.Get("oc")
	oc.Algo, _ = v.Params.Get("oc-algo")
	if ok && value == "" {
		oc.Offer = true
		return oc, true
	}
	validity, _ := v.Params.Get("oc-validity")
	ms, timed := number(validity, 1<<32-1)
	if !timed {
		ms = 500
	}
	n, ok := number(value, 1<<32-1)
	if !ok && ms != 0 {
		return OverloadControl{}, false // section 4.3: of no use by itself
	}
	oc.OC, oc.Validity = uint32(n), time.Duration(ms)*time.Millisecond
	seq, _ := v.Params.Get("oc-seq")
	oc.Seq = parseOCSeq(seq)
	return oc, true
}

// WithOverloadControl returns the Via with other oc parameters. A server puts it
// in place of the topmost Via of its response:
//
//	resp = resp.With(sip.Pop("Via"), sip.Push(resp.Via().WithOverloadControl(oc)))
func (v Via) WithOverloadControl(oc OverloadControl) Via {
	p := v.Params
	for _, name := range [...]string{"oc", "oc-algo", "oc-validity", "oc-seq"} {
		p = p.Without(name)
	}
	b := append([]byte(p), ";oc"...)
	if !oc.Offer {
		b = append(b, '=')
		b = strconv.AppendUint(b, uint64(oc.OC), 10)
	}
	if oc.Algo != "" {
		// In quotes always (section 9).
		b = append(b, ";oc-algo="...)
		b = appendQuoted(b, oc.Algo)
	}
	if !oc.Offer {
		b = append(b, ";oc-validity="...)
		b = strconv.AppendInt(b, max(0, oc.Validity.Milliseconds()), 10)
		b = append(b, ";oc-seq="...)
		b = strconv.AppendUint(b, oc.Seq/ocSeqStep, 10)
		b = append(b, '.')
		for step := uint64(ocSeqStep / 10); step > 0; step /= 10 {
			b = append(b, '0'+byte(oc.Seq/step%10))
		}
	}
	v.Params = Params(b)
	return v
}

// ocSeqStep is 1 in the five decimals of an oc-seq.
const ocSeqStep = 100000

// parseOCSeq reads up to 12 digits and up to 5 decimals, which may be missing. It
// returns 0 for what is not that.
func parseOCSeq(s string) uint64 {
	whole, decimals, _ := strings.Cut(s, ".")
	n, ok := number(whole, 1e12-1)
	d, ok2 := number(orZero(decimals), ocSeqStep-1)
	if !ok || !ok2 || len(decimals) > 5 {
		return 0
	}
	for range 5 - len(decimals) {
		d *= 10
	}
	return n*ocSeqStep + d
}
