package sip

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Where a value may have white space: the marks that the parts of a value are
// joined with, and that a layout turns into white space.
const (
	sws  = "\x01" // there may be some
	lws  = "\x02" // there must be some
	text = "\x03" // between words, where it counts: one space, or a fold
)

// generated is a message in parts: its start line, the values of its header
// fields by name, and its body.
type generated struct {
	start  string
	names  []string
	values map[string][]string
	body   string
}

func (g *generated) add(name string, values ...string) {
	if g.values[name] == nil {
		g.names = append(g.names, name)
	}
	g.values[name] = append(g.values[name], values...)
}

// plain writes the message as this package would: full names, a line a value,
// no white space that is not needed.
func (g *generated) plain() string {
	var b strings.Builder
	b.WriteString(g.start + "\r\n")
	for _, name := range g.names {
		for _, v := range g.values[name] {
			b.WriteString(name + ": " + plainly(v) + "\r\n")
		}
	}
	return b.String() + "\r\n" + g.body
}

func plainly(v string) string {
	return strings.NewReplacer(sws, "", lws, " ", text, " ").Replace(v)
}

// A generator makes parts of messages.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 1))} }

func (g generator) chance(percent int) bool { return g.IntN(100) < percent }

func pick[T any](g generator, list ...T) T { return list[g.IntN(len(list))] }

func (g generator) chars(set string, n int) string {
	b := make([]byte, 1+g.IntN(n))
	for i := range b {
		b[i] = set[g.IntN(len(set))]
	}
	return string(b)
}

const (
	lower = "abcdefghijklmnopqrstuvwxyz"
	alnum = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
)

func (g generator) token() string { return g.chars(alnum+"-.!%*_+`'~", 12) }

func (g generator) quoted() string {
	words := []string{`caf` + "\u00e9", `a\"b`, `\\`, "x,y;z", "<sip:no@uri>", "", g.chars(alnum, 9), "\\\x07"}
	return `"` + pick(g, words...) + text + pick(g, words...) + "x" + `"`
}

func (g generator) host() string {
	switch g.IntN(5) {
	case 0:
		return fmt.Sprintf("192.0.2.%d", g.IntN(256))
	case 1:
		return pick(g, "[2001:db8::1]", "[::1]", "[::ffff:192.0.2.10]", "[2001:DB8:0:0:8:800:200C:417A]")
	}
	return g.chars(lower, 8) + "." + pick(g, "example.com", "Example.ORG", "invalid")
}

func (g generator) port() string {
	if g.chance(70) {
		return ""
	}
	return fmt.Sprintf(":%d", 1+g.IntN(65535))
}

// uri returns a URI as it stands in angle brackets.
func (g generator) uri() string {
	switch g.IntN(10) {
	case 0:
		return "tel:+1-" + g.chars("0123456789-.()", 9) + "5" + pick(g, "", ";ext=12", ";isub=1411;ext=7")
	case 1:
		return pick(g, "urn:service:sos", "http://www.example.com/a?b=c,d", "mailto:a@example.com", "im:b%40@example.com")
	}
	u := pick(g, "sip:", "sip:", "sips:", "SIP:")
	if g.chance(80) {
		u += g.chars(alnum+"-_.!~*'()&=+$,;?/", 10) + pick(g, "", "", "%20x", "%41", ":pass%3a")
		u += "@"
	}
	u += g.host() + g.port()
	for g.chance(40) {
		u += ";" + pick(g, "lr", "transport=tcp", "user=phone", "maddr=239.255.255.1", "ttl=15", "gr=urn:uuid:1", "%6Fb", "x="+g.chars(alnum+"[]/:&+$", 6))
	}
	if g.chance(15) {
		u += "?" + pick(g, "Subject=lunch%20at", "a=b&c=&D=e") // white space in it is escaped
	}
	return u
}

func (g generator) params(names ...string) string {
	p := ""
	for _, name := range names {
		p += sws + ";" + sws + name
		switch g.IntN(6) {
		case 0:
		case 1:
			p += sws + "=" + sws + g.quoted()
		case 2:
			p += sws + "=" + sws + g.host()
		default:
			p += sws + "=" + sws + g.token()
		}
	}
	return p
}

func (g generator) address(params string) string {
	if g.chance(15) {
		return "sip:" + g.chars(alnum, 5) + "@" + g.host() + g.port() + params
	}
	display := pick(g, "", sws, g.quoted()+sws, g.token()+lws, g.token()+text+g.token()+lws)
	return display + "<" + g.uri() + ">" + params
}

func (g generator) via() string {
	return "SIP" + sws + "/" + sws + "2.0" + sws + "/" + sws + pick(g, "UDP", "TCP", "TLS", "WSS", "x-new") + lws + g.host() + g.port() +
		sws + ";" + sws + "branch" + sws + "=" + sws + "z9hG4bK" + g.chars(alnum, 9) + pick(g, "", g.params("rport"), ";received=192.0.2.1", g.params("x", "y"))
}

func (g generator) several(make func() string) []string {
	values := []string{make()}
	for len(values) < 6 && g.chance(50) {
		values = append(values, make())
	}
	return values
}

func (g generator) words() string {
	w := g.chars(alnum+`'()<>,;:@"\/?=`, 8)
	for g.chance(60) {
		w += text + g.chars(alnum+`'()<>,;:@"\/?=`, 8)
	}
	return w
}

// message makes a message with the header fields that every one has, in any
// order, and some others.
func (g generator) message() *generated {
	m := &generated{values: map[string][]string{}}
	method := pick(g, "INVITE", "ACK", "OPTIONS", "REGISTER", "NOTIFY", g.token())
	if m.start = method + " " + g.uri() + " SIP/2.0"; g.chance(30) {
		m.start = fmt.Sprintf("SIP/2.0 %d %s", 100+g.IntN(600), pick(g, "", "OK", "Not Found", "caf\u00e9 ;,\""))
	}
	token := func() string { return g.token() }
	for _, i := range g.Perm(24) {
		if i > 5 && g.chance(60) {
			continue
		}
		switch i {
		case 0:
			m.add("Via", g.several(g.via)...)
		case 1:
			m.add("From", g.address(sws+";"+sws+"tag"+sws+"="+sws+g.token()+g.params(pick(g, nil, []string{"x"}, []string{"y", "z"})...)))
		case 2:
			m.add("To", g.address(pick(g, "", ";tag="+g.token())))
		case 3:
			m.add("Call-ID", g.chars(alnum+`-.!%*_+'~()<>:\"/[]?{}`, 20)+pick(g, "", "@"+g.host()))
		case 4:
			m.add("CSeq", fmt.Sprintf("%d%s%s", int(g.Int32N(1<<31-1)), lws, method))
		case 5:
			if m.body = pick(g, "", "v=0\r\n", "\r\n\r\n", "\x00\xff"); m.body != "" {
				m.add("Content-Type", "application"+sws+"/"+sws+"x-test"+g.params("a"))
			}
			m.add("Content-Length", fmt.Sprint(len(m.body)))
		case 6:
			m.add("Max-Forwards", fmt.Sprint(g.IntN(256)))
		case 7:
			m.add("Contact", g.several(func() string { return g.address(g.params(pick(g, nil, []string{"q", "expires"})...)) })...)
		case 8:
			m.add("Route", g.several(func() string { return "<" + g.uri() + ">" + g.params(pick(g, nil, []string{"x"})...) })...)
		case 9:
			m.add("Record-Route", g.several(func() string { return g.quoted() + sws + "<" + g.uri() + ">" })...)
		case 10:
			m.add("Supported", g.several(token)...)
		case 11:
			m.add("Require", g.several(token)...)
		case 12:
			m.add("Allow", g.several(token)...)
		case 13:
			m.add("Expires", fmt.Sprint(g.Uint32()))
		case 14:
			m.add("WWW-Authenticate", g.several(func() string {
				return "Digest" + lws + "realm" + sws + "=" + sws + g.quoted() + sws + "," + sws + "nonce=\"1,2\"" + sws + "," + sws + "algorithm=MD5"
			})...)
		case 15:
			m.add("Subject", g.words())
		case 16:
			m.add("User-Agent", g.words())
		case 17:
			m.add("X-Unknown", g.several(g.words)...)
		case 18:
			m.add("x!%*_+`'~.", g.several(g.words)...)
		case 19:
			m.add("X-Empty", "")
		case 20:
			m.add("Retry-After", fmt.Sprint(g.Uint32())+sws+"("+g.chars(alnum, 5)+")"+g.params("duration"))
		case 21:
			m.add("Proxy-Require", g.several(token)...)
		case 22:
			m.add("Unsupported", g.several(token)...)
		case 23:
			m.add("Min-Expires", fmt.Sprint(g.Uint32()))
		}
	}
	return m
}

// oddly writes the message in another layout: names in any case and compact,
// white space and folds wherever they may stand, lists on one line or on
// several, and lines of different names in any order.
func (g generator) oddly(m *generated) string {
	var lines [][]string // of each name, in order
	left := 0
	for _, name := range m.names {
		var own []string
		for i, v := range m.values[name] {
			k := lookupKind(lookupHeader(name))
			if i > 0 && (k.commas() || k == tokens) && g.chance(50) {
				own[len(own)-1] += g.space(sws) + "," + g.space(sws) + g.odd(v)
				continue
			}
			own = append(own, g.name(name)+pick(g, "", " ", "\t ")+":"+g.space(sws)+g.odd(v)+pick(g, "", " ", "\t"))
		}
		lines = append(lines, own)
		left += len(own)
	}
	var b strings.Builder
	b.WriteString(m.start + "\r\n")
	for left > 0 {
		i := g.IntN(len(lines))
		if len(lines[i]) > 0 {
			b.WriteString(lines[i][0] + "\r\n")
			lines[i] = lines[i][1:]
			left--
		}
	}
	return b.String() + "\r\n" + m.body
}

func (g generator) name(name string) string {
	if id := lookupHeader(name); id != 0 && headers[id].compact != 0 && g.chance(30) {
		name = string(headers[id].compact)
	}
	b := []byte(name)
	for i := range b {
		if isAlpha(b[i]) && g.chance(20) {
			b[i] ^= 0x20
		}
	}
	return string(b)
}

// odd turns the marks of a value into white space.
func (g generator) odd(v string) string {
	var b strings.Builder
	for i := range len(v) {
		switch c := v[i : i+1]; c {
		case sws, lws, text:
			b.WriteString(g.space(c))
		default:
			b.WriteString(c)
		}
	}
	return b.String()
}

func (g generator) space(mark string) string {
	switch {
	case mark == sws && g.chance(50):
		return ""
	case mark == text:
		return pick(g, " ", " ", "\r\n ", " \r\n\t ")
	}
	return pick(g, " ", "  ", "\t", "\r\n ", " \t\r\n \t")
}
