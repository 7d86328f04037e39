package proxy

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/goparley/parley/sip"
)

// key keys what we write into branches, so that nobody else can.
type key [32]byte

func newKey() (k key) {
	rand.Read(k[:])
	return k
}

// hash begins what sum ends. The room is for usual messages.
func (k *key) hash(room []byte) []byte { return append(room, k[:]...) }

// field appends one that no other field runs into.
func field(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

// sum appends n bytes of the hash in hexadecimal digits: a branch is a token, and
// compared without regard to case.
func sum(dst, b []byte, n int) []byte {
	h := sha256.Sum256(b)
	return hex.AppendEncode(dst, h[:n])
}

const markSize = 2 * 8 // digits

// mark is the second part of our branches: what decides on the way of a request
// (RFC 5393 section 4.2.1). A request that comes by with its own mark in a Via
// goes in a circle; one that has changed in between spirals.
//
// The topmost Via, which RFC 3261 section 16.6 step 8 names, is not among what is
// hashed: with it, a loop over another proxy would be found one turn later, and
// RFC 5393 has dropped it. Nor is the method: the CANCEL of a request is to have
// its branch.
func (k *key) mark(req *sip.Request) string {
	var room [512]byte
	b := k.hash(room[:0])
	b = field(b, requestURI(req))
	for f := range req.Fields() {
		switch {
		case equalFold(f.Name, "Route"), equalFold(f.Name, "Proxy-Require"), equalFold(f.Name, "Proxy-Authorization"):
			b = append(field(b, f.Value), f.Name[len(f.Name)-1])
		}
	}
	b = field(b, req.CallID())
	b = field(b, req.From().Tag())
	b = field(b, req.To().Tag())
	b = binary.BigEndian.AppendUint32(b, req.CSeq().Seq)
	var digits [markSize]byte
	return string(sum(digits[:0], b, markSize/2))
}

// isLooping reports whether a Via has a mark. It is looked for in all of them,
// whatever their sent-by: nobody else could have written it.
func isLooping(req *sip.Request, mark string) bool {
	for via, err := range sip.All[sip.Via](req) {
		if err == nil && hasMark(via.Branch(), mark) {
			return true
		}
	}
	return false
}

func hasMark(branch, mark string) bool {
	at := len(branch) - len(mark)
	return at > 0 && branch[at-1] == '.' && equalFold(branch[at:], mark)
}

// requestURI returns the Request-URI as it is written.
func requestURI(req *sip.Request) string {
	line := req.String()
	_, line, _ = strings.Cut(line, " ")
	uri, _, _ := strings.Cut(line, " ")
	return uri
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
