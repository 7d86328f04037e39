package proxy

import (
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

// What is not forwarded, and why (RFC 3261 section 16.3), in the order of the
// section.
func TestValidation(t *testing.T) {
	for _, test := range []struct {
		name, method, uri, fields string
		want                      sip.Status
	}{
		{"well", "MESSAGE", aor, "", 200},
		{"a scheme that nobody knows", "MESSAGE", "nobody:knows", "", 416},
		{"with no hops either", "MESSAGE", "nobody:knows", "Max-Forwards: 0\r\n", 416},
		{"no hops", "MESSAGE", aor, "Max-Forwards: 0\r\n", 483},
		{"no hops, and an option", "MESSAGE", aor, "Max-Forwards: 0\r\nProxy-Require: x\r\n", 483},
		{"no hops for OPTIONS, which the handler answers", "OPTIONS", aor, "Max-Forwards: 0\r\n", 200},
		{"255 hops", "MESSAGE", aor, "Max-Forwards: 255\r\n", 200},
		{"256 hops", "MESSAGE", aor, "Max-Forwards: 256\r\n", 400},
		{"an option", "MESSAGE", aor, "Proxy-Require: x, known, y\r\n", 420},
		{"a known option", "MESSAGE", aor, "Proxy-Require: Known\r\n", 200},
		{"a broken list of options", "MESSAGE", aor, "Proxy-Require: \"\r\n", 400},
		{"a broken Route", "MESSAGE", aor, "Route: <sip:192.0.2.12;lr\r\n", 400},
		{"a forged token", "MESSAGE", aor, "Route: <sip:forged@192.0.2.3;lr;ob>\r\n", 403},
		{"a forged token behind one of ours", "MESSAGE", aor, "Route: <sip:192.0.2.3;lr>, <sip:forged@192.0.2.3;lr;ob>\r\n", 403},
		{"what is broken and not ours to read", "MESSAGE", aor, "Date: x\r\nContact: <\r\nRequire: \x80\r\n", 200},
		{"a method that nobody knows", "FROB", aor, "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				cfg := example(func(tx *Server, req *sip.Request) { tx.Reply(sip.StatusOK) })
				cfg.Supported = []string{"known"}
				s.proxy(proxyAddr, cfg)
				alice := s.wire(aliceAddr)
				text := test.method + " " + test.uri + " SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n" +
					"From: <sip:alice@a.example>;tag=1\r\nTo: <sip:bob@example.com>\r\nCall-ID: 7\r\nCSeq: 1 " + test.method + "\r\n" +
					test.fields + "Content-Length: 0\r\n\r\n"
				alice.conn.WriteTo([]byte(text), alice.to)
				resp := alice.response(test.want)
				if test.want == 420 {
					if got, _ := resp.Value("Unsupported"); strings.ReplaceAll(got, " ", "") != "x,y" {
						s.Errorf("Unsupported = %q, want x and y", got)
					}
				}
			})
		})
	}
}

// An OPTIONS that may go no further is answered here or nowhere.
func TestMaxForwardsOfOptions(t *testing.T) {
	play(t, func(s *scene) {
		s.proxy(proxyAddr, example(relay))
		s.expect(s.ua(aliceAddr, nil), request(sip.OPTIONS, "sip:bob@"+bobAddr, by(proxyAddr), sip.MaxForwards(0)), "483")
	})
}

// Hops end in time: two proxies that send everything to each other, with the
// Request-URI changed each time so that it is no loop (RFC 3261 section 16.3).
func TestMaxForwardsEndsASpiral(t *testing.T) {
	play(t, func(s *scene) {
		bounce := func(other string) func(*Server, *sip.Request) {
			return func(tx *Server, req *sip.Request) {
				s.note("hop")
				u := req.URI()
				tx.Forward(req, Target{URI: u.WithUsername(u.Username() + "x"), Route: []sip.Route{{URI: uri("sip:" + other + ";lr")}}})
			}
		}
		s.proxy(proxyAddr, &Config{Handler: bounce("192.0.2.4")})
		s.proxy("192.0.2.4", &Config{Handler: bounce(proxyAddr)})
		s.expect(s.ua(aliceAddr, nil), request(sip.MESSAGE, "sip:b@b.example", by(proxyAddr), sip.MaxForwards(6)), "483")
		s.noted("hop", "hop", "hop", "hop", "hop", "hop")
	})
}
