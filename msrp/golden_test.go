package msrp_test

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/sdp"
)

var update = flag.Bool("update", false, "write the descriptions of testdata anew")

// random are the parts of a description that differ from run to run.
var random = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`/[a-z2-7]{26};`), "/SESSION-ID;"},
	{regexp.MustCompile(`SHA-256 [0-9A-F:]{95}`), "SHA-256 FINGERPRINT"},
	{regexp.MustCompile(`o=- \d+ \d+ `), "o=- ID VERSION "},
}

func golden(t *testing.T, name, text string) {
	t.Helper()
	for _, r := range random {
		text = r.what.ReplaceAllString(text, r.by)
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	file := filepath.Join("testdata", name+".sdp")
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if text != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, text, want)
	}
}

const noListener = "none"

// What we offer, as a whole description (RFC 4975 section 8, RFC 6135 section 4.2, RFC 6714 section 4.2).
func TestOffers(t *testing.T) {
	for _, c := range []struct {
		name string
		host string
		e    msrp.Config
		s    msrp.SessionConfig
	}{
		{name: "offer", host: alice},
		{name: "offer-tls", host: alice, s: msrp.SessionConfig{TLS: true}},
		{name: "offer-active", host: alice, e: msrp.Config{Listen: []string{noListener}, Host: "192.0.2.77"}},
		{name: "offer-cema", host: alice, s: msrp.SessionConfig{CEMA: true}},
		{name: "offer-types", host: alice, s: msrp.SessionConfig{
			AcceptTypes: []string{"message/cpim", "text/*", "*"}, AcceptWrappedTypes: []string{"text/plain", "image/*"}, MaxSize: 1 << 20}},
		{name: "offer-ipv6", host: "2001:db8::1"},
		{name: "offer-name", host: alice, e: msrp.Config{Host: "alice.example.com"}},
		{name: "offer-told", host: alice, e: msrp.Config{Listen: []string{"tcp::2855"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				if c.e.Listen == nil {
					c.e.Listen = []string{"tcp:[" + c.host + "]:2855", "tls:[" + c.host + "]:2856"}
					if !strings.Contains(c.host, ":") {
						c.e.Listen = []string{"tcp:" + c.host + ":2855", "tls:" + c.host + ":2856"}
					}
				}
				s.endpoint(c.host, &c.e)
				x := s.session(c.host, &c.s)
				x.UseAddress(s.n.Host(c.host).Addr())
				engine := sdp.NewEngine(nil)
				offer := func() string {
					m, err := x.Offer(s.Context())
					if err != nil {
						s.Fatal(err)
					}
					text, err := engine.Offer([]*sdp.Media{m})
					if err != nil {
						s.Fatal(err)
					}
					engine.Rollback()
					return text
				}
				text := offer()
				golden(s.T, c.name, text)
				if again := offer(); again != text {
					s.Errorf("another offer says\n%s\nafter\n%s", again, text)
				}
			})
		})
	}
}

// What we answer, as a whole description.
func TestAnswers(t *testing.T) {
	const (
		head = "v=0\r\no=usera 2890844526 2890844527 IN IP4 192.0.2.9\r\ns= -\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"
		chat = "a=accept-types:message/cpim text/plain text/html\r\n"
		path = "a=path:msrp://192.0.2.9:7394/2s93i93idj;tcp\r\n"
	)
	for _, c := range []struct {
		name, offer string
		s           msrp.SessionConfig
	}{
		// Figure 9 of RFC 4975, of a peer that knows nothing of setup.
		{"answer", "v=0\r\no=usera 2890844526 2890844527 IN IP4 alice.example.com\r\ns= -\r\nc=IN IP4 alice.example.com\r\nt=0 0\r\n" +
			"m=message 7394 TCP/MSRP *\r\na=accept-types:message/cpim text/plain text/html\r\na=path:msrp://alice.example.com:7394/2s93i93idj;tcp\r\n", msrp.SessionConfig{}},
		{"answer-actpass", head + "m=message 7394 TCP/MSRP *\r\n" + chat + path + "a=setup:actpass\r\n", msrp.SessionConfig{}},
		{"answer-passive", head + "m=message 7394 TCP/MSRP *\r\n" + chat + path + "a=setup:passive\r\n", msrp.SessionConfig{}},
		{"answer-cema", head + "m=message 7394 TCP/MSRP *\r\n" + chat + path + "a=setup:actpass\r\na=msrp-cema\r\n", msrp.SessionConfig{}},
		{"answer-types", head + "m=message 7394 TCP/MSRP *\r\n" + chat + path + "a=setup:actpass\r\na=max-size:5\r\n",
			msrp.SessionConfig{AcceptTypes: []string{"message/cpim"}, AcceptWrappedTypes: []string{"*"}, MaxSize: 9}},
		{"answer-tls", head + "m=message 7394 TCP/TLS/MSRP *\r\n" + chat + "a=path:msrps://192.0.2.9:7394/2s93i93idj;tcp\r\na=setup:actpass\r\n" +
			"a=fingerprint:SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB\r\n", msrp.SessionConfig{TLS: true}},
		{"answer-sendonly", head + "m=message 7394 TCP/MSRP *\r\n" + chat + path + "a=setup:actpass\r\na=sendonly\r\n", msrp.SessionConfig{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.endpoint(bob, &msrp.Config{Listen: []string{"tcp:" + bob + ":2855", "tls:" + bob + ":2856"}})
				x := s.session(bob, &c.s)
				engine := sdp.NewEngine(nil)
				offer, err := engine.ReceiveOffer(c.offer)
				if err != nil {
					s.Fatal(err)
				}
				m, err := x.Answer(s.Context(), offer[0])
				if err != nil {
					s.Fatal(err)
				}
				text, _, err := engine.Answer([]*sdp.Media{m})
				if err != nil {
					s.Fatal(err)
				}
				golden(s.T, c.name, text)
			})
		})
	}
}
