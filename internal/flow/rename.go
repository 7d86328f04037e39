package flow

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
)

// A renamer gives what is random in messages, or depends on it, names that are
// the same in every run. Tags, branches and Call-IDs are named for who has made
// them: "alice-1" is the first tag of Alice.
type renamer struct {
	names    map[string]string
	count    map[string]int
	first    map[string]uint32 // RSeq, by dialog
	replacer *strings.Replacer // made when all is learnt
}

func newRenamer() *renamer {
	return &renamer{names: map[string]string{}, count: map[string]int{}, first: map[string]uint32{}}
}

// name names a value. The kind goes into the name of what is not of one host.
func (r *renamer) name(value, kind string) string {
	if value == "" {
		return ""
	}
	if r.names[value] == "" {
		r.count[kind]++
		r.names[value] = fmt.Sprintf("%s-%d", kind, r.count[kind])
	}
	return r.names[value]
}

// learn names what a message has that none before had.
func (r *renamer) learn(m *message) {
	by := strings.ToLower(strings.ReplaceAll(m.from, " ", ""))
	r.name(m.msg.From().Tag(), by) // of a request, or known from there
	r.name(m.msg.To().Tag(), by)
	r.name(m.msg.CallID(), "call")
	r.name(m.msg.Via().Branch(), "z9hG4bK-"+by)
	if etag, ok := m.msg.Value("SIP-ETag"); ok {
		r.name(etag, "etag")
	}
	if rseq, err := sip.Get[sip.RSeq](m.msg); err == nil {
		r.rseq(uint32(rseq), m.msg.CallID()+" "+m.msg.To().Tag())
	}
	for f := range m.msg.Fields() {
		for _, p := range patterns {
			for _, found := range p.find.FindAllStringSubmatch(f.Value, -1) {
				if r.names[found[1]] == "" { // by itself, or as a whole
					r.name(found[1], p.kind)
				}
			}
		}
	}
	if o := origin(m.msg); o != "" {
		id, _, _ := strings.Cut(o, " ")
		r.name(o, r.name(id, "session")+" version")
	}
}

// rseq names the number of a reliable response: "RSeq-1" is the first one of a dialog,
// "RSeq-1+1" the next.
func (r *renamer) rseq(n uint32, dialog string) {
	first, ok := r.first[dialog]
	if !ok {
		first = n
		r.first[dialog] = n
		r.name(fmt.Sprintf("RSeq %d", n), "RSeq")
	}
	if n != first {
		r.names[fmt.Sprintf("RSeq %d", n)] = fmt.Sprintf("%s+%d", r.names[fmt.Sprintf("RSeq %d", first)], n-first)
	}
}

// patterns are values that are found by what stands around them.
var patterns = []struct {
	kind string
	find *regexp.Regexp
}{
	{"nonce", regexp.MustCompile(`\bnonce="([^"]*)"`)},
	{"cnonce", regexp.MustCompile(`\bcnonce="([^"]*)"`)},
	{"response", regexp.MustCompile(`\bresponse="([^"]*)"`)},
	{"opaque", regexp.MustCompile(`\bopaque="([^"]+)"`)},
	{"uuid", regexp.MustCompile(`urn:uuid:([0-9a-f-]+)`)},
	{"token", regexp.MustCompile(`sips?:([A-Za-z0-9_=.~%+-]{16,})@`)}, // a flow token, or a GRUU
	{"bond", regexp.MustCompile(`;bond=([0-9a-f]+)`)},                 // of our proxies' Record-Route
	{"rport=port", regexp.MustCompile(`\b(rport=\d{5})\b`)},           // of a connection
}

// rename returns a text with names for all values that are known, wherever they
// are: a Call-ID in a Replaces, too. What is shorter than minValue was written by
// hand, and stays.
func (r *renamer) rename(text string) string {
	if r.replacer == nil {
		values := slices.SortedFunc(maps.Keys(r.names), func(a, b string) int {
			return cmp.Or(len(b)-len(a), strings.Compare(a, b))
		})
		var pairs []string
		for _, v := range values {
			if len(v) >= minValue {
				pairs = append(pairs, v, r.names[v])
			}
		}
		r.replacer = strings.NewReplacer(pairs...)
	}
	return r.replacer.Replace(text)
}

const minValue = 8
