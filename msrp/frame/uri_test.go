package frame_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/goparley/parley/msrp/frame"
)

// RFC 4975 section 9, RFC 7977 section 5.2.1 and RFC 8873 section 4.1.
func TestURIs(t *testing.T) {
	for text, want := range map[string]frame.URI{
		"msrp://host.example.com:8493/asfd34;tcp":        {Host: "host.example.com", Port: 8493, SessionID: "asfd34", Transport: "tcp"},
		"msrps://host.example.com;tcp":                   {Secure: true, Host: "host.example.com", Transport: "tcp"},
		"MSRPS://a/b;TCP":                                {Secure: true, Host: "a", SessionID: "b", Transport: "TCP"},
		"msrp://x:1/a;ws":                                {Host: "x", Port: 1, SessionID: "a", Transport: "ws"},
		"msrp://x:1/a;dc":                                {Host: "x", Port: 1, SessionID: "a", Transport: "dc"},
		"msrp://x:1/a;quic9":                             {Host: "x", Port: 1, SessionID: "a", Transport: "quic9"},
		"msrp://alice@x:65535/a;tcp":                     {User: "alice", Host: "x", Port: 65535, SessionID: "a", Transport: "tcp"},
		"msrp://a:b%20c@x:1/a;tcp":                       {User: "a:b%20c", Host: "x", Port: 1, SessionID: "a", Transport: "tcp"},
		"msrp://192.0.2.1:2855/a;tcp;p=1;q":              {Host: "192.0.2.1", Port: 2855, SessionID: "a", Transport: "tcp", Params: ";p=1;q"},
		"msrp://[2001:DB8::1]:9/a;tcp":                   {Host: "2001:DB8::1", Port: 9, SessionID: "a", Transport: "tcp"},
		"msrp://[::1]/a;tcp":                             {Host: "::1", SessionID: "a", Transport: "tcp"},
		"msrp://2001:db8::1:54111/sess;dc":               {Host: "2001:db8::1", Port: 54111, SessionID: "sess", Transport: "dc"}, // RFC 8873 section 4.8
		"msrp://x:1/AbC/d+e=f-._~/;tcp":                  {Host: "x", Port: 1, SessionID: "AbC/d+e=f-._~/", Transport: "tcp"},
		"msrp://x:0080/a;tcp":                            {Host: "x", Port: 80, SessionID: "a", Transport: "tcp"},
		"msrp://h%6fst.example.com:1/a;tcp":              {Host: "h%6fst.example.com", Port: 1, SessionID: "a", Transport: "tcp"},
		"msrp://" + strings.Repeat("a", 2030) + ":1;tcp": {Host: strings.Repeat("a", 2030), Port: 1, Transport: "tcp"},
	} {
		got, err := frame.ParseURI(text)
		if err != nil || got != want {
			t.Errorf("ParseURI(%.80q) = %+v, %v, want %+v", text, got, err, want)
		}
		if again, err := frame.ParseURI(got.String()); err != nil || again != got {
			t.Errorf("of %.80q: ParseURI(%q) = %+v, %v, want the same", text, got, again, err)
		}
	}
}

func TestWhatIsNoURI(t *testing.T) {
	for _, text := range []string{
		"", "msrp", "msrp:", "msrp://", "msrp://;tcp", "msrp:///a;tcp", "//x:1/a;tcp",
		"sip://x:1/a;tcp", "msrpx://x:1/a;tcp", "m\u017frp://x:1/a;tcp", " msrp://x:1/a;tcp",
		"msrp://x:1/a", "msrp://x:1/a;", "msrp://x:1/a;;tcp", "msrp://x:1/a;t_p", "msrp://x:1/a;tcp;\"",
		"msrp://x:1/;tcp", "msrp://x:1/a%20b;tcp", "msrp://x:1/a b;tcp", "msrp://x:1/a?b;tcp", "msrp://x:1/\u00e9;tcp",
		"msrp://x:/a;tcp", "msrp://x:0/a;tcp", "msrp://x:65536/a;tcp", "msrp://x:-1/a;tcp", "msrp://x:+1/a;tcp", "msrp://x:1_0/a;tcp",
		"msrp://:1/a;tcp", "msrp://x\r\n:1/a;tcp", "msrp://x\x00:1/a;tcp", "msrp://a b@x:1/a;tcp", "msrp://x\":1/a;tcp",
		"msrp://[::1/a;tcp", "msrp://[::1]1/a;tcp", "msrp://[192.0.2.1]:1/a;tcp", "msrp://[fe80::1%25eth0]:1/a;tcp", "msrp://[]:1/a;tcp", "msrp://1:2:3/a;tcp",
		"msrp://" + strings.Repeat("a", 2040) + ":1;tcp",
	} {
		got, err := frame.ParseURI(text)
		var syntax *frame.SyntaxError
		if !errors.As(err, &syntax) || len(syntax.Text) > 80 {
			t.Errorf("ParseURI(%.80q) = %+v, %v, want a *SyntaxError", text, got, err)
		}
	}
}

// RFC 4975 section 6.1, rule by rule.
func TestURIsAreEqual(t *testing.T) {
	const uri = "msrp://host.example.com:8493/aSfd34;tcp"
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{uri, uri, true},
		{uri, "MSRP://host.example.com:8493/aSfd34;tcp", true},
		{uri, "msrps://host.example.com:8493/aSfd34;tcp", false},
		{uri, "msrp://HOST.Example.com:8493/aSfd34;tcp", true},
		{uri, "msrp://%68%6Fst%2eexample.com:8493/aSfd34;tcp", true},
		{uri, "msrp://host.example.org:8493/aSfd34;tcp", false},
		{uri, "msrp://host.example.com.:8493/aSfd34;tcp", false},
		{uri, "msrp://host.example.com:8494/aSfd34;tcp", false},
		{uri, "msrp://host.example.com/aSfd34;tcp", false}, // a port that is written is not the same as none
		{uri, "msrp://host.example.com:8493/asfd34;tcp", false},
		{uri, "msrp://host.example.com:8493;tcp", false},
		{uri, "msrp://host.example.com:8493/aSfd34;TCP", true},
		{uri, "msrp://host.example.com:8493/aSfd34;ws", false},
		{uri, "msrp://alice@host.example.com:8493/aSfd34;tcp", true},
		{uri, "msrp://host.example.com:8493/aSfd34;tcp;new=1", true},
		{"msrp://host.example.com/a;tcp", "msrp://host.example.com:2855/a;tcp", false},
		{"msrp://[2001:db8::1]:1/a;tcp", "msrp://[2001:DB8:0:0::0:1]:1/a;tcp", true},
		{"msrp://[2001:db8::1]:1/a;tcp", "msrp://2001:db8::1:1/a;tcp", true},
		{"msrp://[2001:db8::1]:1/a;tcp", "msrp://[2001:db8::2]:1/a;tcp", false},
		{"msrp://192.0.2.1:1/a;tcp", "msrp://192.0.2.10:1/a;tcp", false},
		{"msrp://192.0.2.1:1/a;tcp", "msrp://%31%392.0.2.1:1/a;tcp", true},
		{"msrp://192.0.2.1:1/a;tcp", "msrp://host:1/a;tcp", false},
		{"msrp://a%2Fb:1/a;tcp", "msrp://a%2fB:1/a;tcp", true}, // what is reserved stays encoded
		{"msrp://a%:1/a;tcp", "msrp://a%2:1/a;tcp", false},
	} {
		a, errA := frame.ParseURI(c.a)
		b, errB := frame.ParseURI(c.b)
		if errA != nil || errB != nil {
			t.Errorf("%v, %v", errA, errB)
			continue
		}
		if a.Equal(b) != c.want || b.Equal(a) != c.want {
			t.Errorf("%s and %s: Equal %v, want %v", c.a, c.b, !c.want, c.want)
		}
		if p, q := (frame.Path{a}), (frame.Path{b}); p.Equal(q) != c.want || p.Equal(frame.Path{b, b}) {
			t.Errorf("paths of %s and %s: Equal %v, want %v", c.a, c.b, !c.want, c.want)
		}
	}
}

// An address goes with a port, which who makes a URI has to see to (RFC 4975 section 6); a
// name may be without in the URI of a relay (RFC 4976 section 4.2). Here, none is told from
// any.
func TestAURIWithoutAPortHasNone(t *testing.T) {
	for text, want := range map[string]uint16{
		"msrps://relay.example.com;tcp":      0,
		"msrps://relay.example.com:2855;tcp": 2855,
		"msrp://192.0.2.1/a;tcp":             0,
	} {
		u, err := frame.ParseURI(text)
		if err != nil || u.Port != want || u.String() != text {
			t.Errorf("ParseURI(%q).Port = %d, %v, written %s, want %d", text, u.Port, err, u, want)
		}
	}
}

// A session-id is not to be guessed (RFC 4975 section 14.1), and a URI can have it.
func TestSessionIDsAreRandom(t *testing.T) {
	seen := make(map[string]bool)
	for range 1000 {
		id := frame.NewSessionID()
		if len(id) < 80/5 || seen[id] {
			t.Fatalf("NewSessionID() = %q after %d others, want another one of 80 bits or more", id, len(seen))
		}
		seen[id] = true
		u := frame.URI{Host: "x", Port: 1, SessionID: id, Transport: "tcp"}
		if got, err := frame.ParseURI(u.String()); err != nil || got != u {
			t.Fatalf("ParseURI(%q) = %v, %v", u, got, err)
		}
	}
}

// SDP and To-Path have the next hop first (RFC 4975 sections 7.1 and 8.1).
func TestPaths(t *testing.T) {
	const a, b = "msrps://relay.example.com:2855/x;tcp", "msrp://192.0.2.1:7654/y;ws"
	for text, want := range map[string][]string{
		a:                          {a},
		a + " " + b:                {a, b},
		"  " + a + "   " + b + " ": {a, b},
		strings.Repeat(a+" ", 16):  strings.Fields(strings.Repeat(a+" ", 16)),
	} {
		got, err := frame.ParsePath(text)
		if err != nil || got.String() != strings.Join(want, " ") || len(got) != len(want) {
			t.Errorf("ParsePath(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{
		"", " ", "x", a + " x", a + "," + b, a + "\t" + b, a + "\r\n" + b,
		strings.Repeat(a+" ", 17), strings.Repeat("msrp://a;t ", 1000),
	} {
		got, err := frame.ParsePath(text)
		var syntax *frame.SyntaxError
		if !errors.As(err, &syntax) || len(syntax.Text) > 80 {
			t.Errorf("ParsePath(%.80q) = %v, %v, want a *SyntaxError", text, got, err)
		}
	}
}

// What no path is makes no large list.
func TestAPathOfSpacesTakesNoMemory(t *testing.T) {
	spaces := strings.Repeat(" ", 1<<20) + "x"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := frame.ParsePath(spaces); err == nil {
		t.Error("a path of spaces is one")
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 16<<10 {
		t.Errorf("%d bytes for a path of spaces, want 16 KB at most", got)
	}
}
