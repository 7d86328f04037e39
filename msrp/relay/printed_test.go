package relay_test

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// The frames that RFC 4976 and RFC 7977 print are those that pass a Relay, but for what is random: the
// sessions of its URIs, which a story gives their printed names, and transaction identifiers.
type printed struct {
	t     *testing.T
	names []string // what is printed, and what it is here, in turns
}

// text returns a printed frame as it is here.
func (p *printed) text(number string) string {
	p.t.Helper()
	files, err := filepath.Glob("testdata/rfc" + number + "-*.msrp")
	if err != nil || len(files) != 1 {
		p.t.Fatalf("%d files of %s", len(files), number)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		p.t.Fatal(err)
	}
	// A line that was too long for print has a backslash at its end; the RFC once leaves away a port
	// (RFC 7977 section 8.3.2).
	return strings.NewReplacer(append(p.names, `\ `, "", ".invalid/", ".invalid:2855/")...).Replace(string(text))
}

// say has a neighbor write a printed frame.
func (p *printed) say(who *raw, number string) {
	p.t.Helper()
	who.writeRaw(p.text(number))
}

// reply has a neighbor write a printed response to a request.
func (p *printed) reply(who *raw, g got, number string) {
	p.t.Helper()
	text := p.text(number)
	h, _, _, err := frame.Parse([]byte(text))
	if err != nil {
		p.t.Fatal(err)
	}
	who.writeRaw(strings.ReplaceAll(text, h.ID, g.ID))
}

// hear has a neighbor read a printed frame.
func (p *printed) hear(who *raw, number string) got {
	p.t.Helper()
	want, body, flag, err := frame.Parse([]byte(p.text(number)))
	if err != nil {
		p.t.Fatal(err)
	}
	g := who.read()
	if g.Method != want.Method || g.Status != want.Status || g.To != want.To || g.From != want.From ||
		g.Report != want.Report || g.body != string(body) || g.flag != flag || g.SuccessReport != want.SuccessReport {
		p.t.Errorf("%s got %+v %q, want %s: %+v %q", who.name, g.Head, g.body, number, want, body)
	}
	if want.Method != "" && (g.MessageID != want.MessageID || g.Range.Start != want.Range.Start || want.Report != 0 && g.Range != want.Range) {
		p.t.Errorf("%s got %+v, want %s: %+v", who.name, g.Head, number, want)
	}
	if want.Method == "" && want.Status < 400 && g.ID != want.ID {
		p.t.Errorf("%s got %v, want %s: %v", who.name, g, number, want)
	}
	return g
}

// session returns the session-id of the last URI of a path.
func session(path string) string {
	s := path[strings.LastIndexByte(path, '/')+1:]
	return s[:strings.IndexByte(s, ';')]
}

// secure runs a relay for TLS at a port.
func (w *world) secure(name, port string) {
	w.relay(name, relay.Config{Listen: []string{"tls:" + port}, TLS: w.tls(name)})
}

// acceptTLS runs f with the first connection to a host by TLS.
func (w *world) acceptTLS(name, port string, do func()) *raw {
	w.t.Helper()
	cfg := w.tls(name)
	l, err := w.host(name).Listen(w.t.Context(), "tcp", port)
	if err != nil {
		w.t.Fatal(err)
	}
	do()
	nc, err := l.Accept()
	l.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.raw(name, tls.Server(nc, cfg))
}

func TestPrintedMessageThroughTwoRelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // at the first
		w, p := newWorld(t), &printed{t: t}
		w.secure("a.example.org", ":9000")
		alice := w.dialTLS("alice.example.org", "a.example.org", ":9000", nil)
		p.names = []string{"kjfjan", session(alice.auth("alice", "msrps://a.example.org:9000;tcp"))}
		b := w.acceptTLS("b.example.net", ":9000", func() { p.say(alice, "4976-01") })
		p.hear(alice, "4976-02")
		p.reply(b, p.hear(b, "4976-03"), "4976-04")
		p.say(b, "4976-07")
		p.hear(alice, "4976-08")
	})
	synctest.Test(t, func(t *testing.T) { // at the second
		w, p := newWorld(t), &printed{t: t}
		w.secure("b.example.net", ":9000")
		bob := w.dialTLS("bob.example.net", "b.example.net", ":9000", nil)
		p.names = []string{"aeiug", session(bob.auth("bob", "msrps://b.example.net:9000;tcp"))}
		a := w.dialTLS("a.example.org", "b.example.net", ":9000", nil)
		p.say(a, "4976-03")
		p.hear(a, "4976-04")
		bob.answer(p.hear(bob, "4976-05"), frame.StatusOK)
		p.say(bob, "4976-06")
		p.hear(a, "4976-07")
	})
}

func TestPrintedAuthThroughARelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(t), &printed{t: t}
		w.secure("intra.example.com", ":9000")
		alice := w.dialTLS("alice.example.com", "intra.example.com", ":9000", nil)
		p.say(alice, "4976-09")
		p.hear(alice, "4976-10")
		p.say(alice, "4976-11") // with a nonce that is none of ours
		p.hear(alice, "4976-10")
		p.names = []string{"jui787s2f", session(alice.auth("alice", "msrps://intra.example.com;tcp")), "msrps://extra.example.com;tcp", "msrps://extra.example.com:2855;tcp"}
		extra := w.acceptTLS("extra.example.com", ":2855", func() { p.say(alice, "4976-13") })
		p.reply(extra, p.hear(extra, "4976-14"), "4976-15")
		p.hear(alice, "4976-16")
		p.say(alice, "4976-17")
		g := p.hear(extra, "4976-18")
		if value, _ := g.Get("Authorization"); !strings.Contains(value, "cb06c4a77cd90918cd7914432032e0e6") {
			t.Errorf("Authorization is %q", value)
		}
		p.reply(extra, g, "4976-19")
		g = p.hear(alice, "4976-20")
		if path, _ := g.Get("Use-Path"); len(strings.Fields(path)) != 2 {
			t.Errorf("Use-Path is %q, want it as the other relay has said", path)
		}
	})
}

func TestPrintedWebSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, p := newWorld(t), &printed{t: t}
		known := ""
		w.relay("a.example.com", relay.Config{
			Listen: []string{"wss::443", "tls::2855"}, TLS: w.tls("a.example.com"),
			Handshake: func(*http.Request) (string, bool) { return known, true },
		})
		join := func(name string) *raw {
			b, err := w.browse(name, "a.example.com:443", "wss://a.example.com/", &tls.Config{RootCAs: w.ca.Pool(), ServerName: "a.example.com"})
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		usePath := func(g got) string {
			t.Helper()
			path, _ := g.Get("Use-Path")
			if !strings.HasPrefix(path, "msrps://a.example.com:2855/") || !strings.HasSuffix(path, ";tcp") {
				t.Errorf("Use-Path is %q", path)
			}
			return session(path)
		}

		stranger := join("alice")
		p.say(stranger, "7977-03") // section 8.1.2
		p.hear(stranger, "7977-04")
		known = "carol"
		carol := join("carol")
		carol.ours = "msrps://jk9awp14vj8x.invalid:2855/76qwe;ws"
		known = "alice"
		alice := join("alice")
		p.say(alice, "7977-01") // section 8.1.1
		p.names = []string{"jui787s2f", usePath(p.hear(alice, "7977-02"))}
		carol.write("MSRP 49fi AUTH\nTo-Path: msrps://a.example.com:443;ws\nFrom-Path: " + carol.ours + "\n-------49fi$\n")
		p.names = append(p.names, "iwnslt", usePath(carol.read()))

		bob := w.acceptTLS("bob.example.com", ":49154", func() { p.say(alice, "7977-07") }) // section 8.2.2
		p.hear(alice, "7977-08")
		p.reply(bob, p.hear(bob, "7977-09"), "7977-10")
		p.say(bob, "7977-11") // section 8.2.3
		p.hear(bob, "7977-12")
		p.reply(alice, p.hear(alice, "7977-13"), "7977-14")
		p.say(alice, "7977-15") // section 8.3.2
		p.hear(alice, "7977-16")
		p.reply(carol, p.hear(carol, "7977-17"), "7977-18")
		other := w.acceptTLS("relay.example.net", ":2855", func() { p.say(alice, "7977-19") }) // section 8.4.2
		p.hear(alice, "7977-20")
		p.reply(other, p.hear(other, "7977-21"), "7977-22") // to another URI of the relay than it came from
	})
}
