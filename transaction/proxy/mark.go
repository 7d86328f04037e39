package proxy

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// key keys what we write into branches, so that nobody else can.
type key [32]byte

func newKey() (k key) {
	rand.Read(k[:])
	return k
}

// deriveKey returns a key for one use. With a key of the program's, it lasts as long
// as that.
func deriveKey(flowKey []byte, use string) (k key) {
	if len(flowKey) == 0 {
		return newKey()
	}
	h := hmac.New(sha256.New, flowKey)
	h.Write([]byte(use))
	h.Sum(k[:0])
	return k
}

// branches is the use of the key of what stands in branches. It says who we are: nodes
// that have the same key and send to each other are not to take the marks of the others
// for their own.
func (s *self) branches() string {
	return fmt.Sprintf("branch %q %d", slices.Sorted(slices.Values(s.lasting)), slices.Sorted(slices.Values(s.ports)))
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

// A mark is the second part of a branch, in hexadecimal digits: a few by which we
// know all of ours, and those of the request.
type mark [ownDigits + 16]byte

const ownDigits = 4

// marker makes marks.
type marker struct {
	key
	own [ownDigits]byte // what ours begin with
}

func newMarker(k key) (m marker) {
	var room [64]byte
	m.key = k
	sum(m.own[:0], append(k.hash(room[:0]), 'm'), ownDigits/2)
	return m
}

// mark returns what decides on the way of a request (RFC 5393 section 4.2.1). A
// request that comes by with its own mark in a Via goes in a circle; one that has
// changed in between spirals.
//
// RFC 3261 section 16.6 step 8 names more, which RFC 5393 has dropped. With the
// topmost Via, a loop over another proxy would be found one turn later. And the
// method, the tag of the To, Proxy-Require and Proxy-Authorization are not the
// same in a request, its CANCEL and the ACK of its refusal, which are to have its
// branch where there is no transaction to see to that.
func (k *marker) mark(req *sip.Request) (m mark) {
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
	sum(append(m[:0], k.own[:]...), b, (len(m)-ownDigits)/2)
	return m
}

// find looks for marks of ours in the Vias of a request, whatever their sent-by:
// nobody else could have written its own, m, by which it loops. One that has
// another spirals. Anybody can copy what those have in common, and have his own
// requests counted.
func (k *marker) find(req *sip.Request, m mark) (loops, spirals bool) {
	for via, err := range sip.All[sip.Via](req) {
		if err != nil {
			continue
		}
		branch := via.Branch()
		at := len(branch) - len(m)
		if at <= 0 || branch[at-1] != '.' {
			continue
		}
		if branch[at:] == string(m[:]) {
			return true, true
		}
		spirals = spirals || branch[at:at+ownDigits] == string(k.own[:])
	}
	return false, spirals
}

// markOf returns the mark that a Via has, if it has one; that may be anybody's.
func markOf(via sip.Via) (m mark) {
	branch := via.Branch()
	if at := len(branch) - len(m); at > 0 && branch[at-1] == '.' {
		copy(m[:], branch[at:])
	}
	return m
}

// requestURI returns the Request-URI as it is written.
func requestURI(req *sip.Request) string {
	line := req.String()
	_, line, _ = strings.Cut(line, " ")
	uri, _, _ := strings.Cut(line, " ")
	return uri
}

func equalFold(a, b string) bool { return len(a) == len(b) && strings.EqualFold(a, b) }
