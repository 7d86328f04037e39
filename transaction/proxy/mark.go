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

// lower puts the last n bytes in lower case.
func lower(b []byte, n int) []byte {
	for i := len(b) - n; i < len(b); i++ {
		if c := b[i]; 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return b
}

// sum appends n bytes of the hash in hexadecimal digits: a branch is a token, and
// compared without regard to case.
func sum(dst, b []byte, n int) []byte {
	h := sha256.Sum256(b)
	return hex.AppendEncode(dst, h[:n])
}

// A mark is the second part of a branch, in hexadecimal digits.
type mark [16]byte

// mark returns what decides on the way of a request (RFC 5393 section 4.2.1). A
// request that comes by with its own mark in a Via goes in a circle; one that has
// changed in between spirals.
//
// RFC 3261 section 16.6 step 8 names more, which RFC 5393 has dropped. With the
// topmost Via, a loop over another proxy would be found one turn later. And the
// method, the tag of the To, Proxy-Require and Proxy-Authorization are not the
// same in a request, its CANCEL and the ACK of its refusal, which are to have its
// branch where there is no transaction to see to that.
func (k *key) mark(req *sip.Request) (m mark) {
	var room [512]byte
	b := k.hash(room[:0])
	b = field(b, requestURI(req))
	if _, ok := req.Value("Route"); ok {
		for f := range req.Fields() {
			if equalFold(f.Name, "Route") {
				b = field(b, f.Value)
			}
		}
	}
	b = field(b, req.CallID())
	b = field(b, req.From().Tag())
	b = binary.BigEndian.AppendUint32(b, req.CSeq().Seq)
	sum(m[:0], b, len(m)/2)
	return m
}

// isLooping reports whether a Via has a mark. It is looked for in all of them,
// whatever their sent-by: nobody else could have written it.
func isLooping(req *sip.Request, m mark) bool {
	for via, err := range sip.All[sip.Via](req) {
		if err == nil && hasMark(via.Branch(), m) {
			return true
		}
	}
	return false
}

func hasMark(branch string, m mark) bool {
	at := len(branch) - len(m)
	return at > 0 && branch[at-1] == '.' && branch[at:] == string(m[:])
}

// requestURI returns the Request-URI as it is written.
func requestURI(req *sip.Request) string {
	line := req.String()
	_, line, _ = strings.Cut(line, " ")
	uri, _, _ := strings.Cut(line, " ")
	return uri
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
