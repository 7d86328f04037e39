package proxy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// Mallory sends an INVITE in the name of a victim, who knows nothing of it and
// acknowledges nothing. Whatever it is refused for, the victim gets one packet for
// it, and one for each that mallory sends again (RFC 3261 section 26.3.2.4).
func TestRefusalIsNotReflectedTwice(t *testing.T) {
	for _, test := range []struct {
		name, uri, fields string
		takes             time.Duration
		want              string
	}{
		{"no credentials", aor, "", 0, "407"},
		{"not of ours", "sip:bob@elsewhere.example", "", 0, "403"},
		{"nobody there", "sip:nobody@example.com", "", 0, "480"},
		{"handler without an answer", "sip:silent@example.com", "", 0, "500"},
		{"no hops left", aor, "Max-Forwards: 0\r\n", 0, "483"},
		{"extension that is not known", aor, "Proxy-Require: x\r\n", 0, "420"},
		{"no scheme of ours", "nobody:knows", "", 0, "416"},
		// A 100 is a promise, so what follows is sent until it is there, but for
		// a challenge.
		{"password that takes its time", aor, "", 300 * time.Millisecond, "100 407 407 407"},
	} {
		t.Run(test.name, func(t *testing.T) {
			play(t, func(s *scene) {
				s.proxy(proxyAddr, &Config{Domains: []string{"example.com"}, Handler: func(tx *Server, req *sip.Request) {
					<-time.After(test.takes)
					switch user := req.URI().User; {
					case !tx.Local():
						tx.Reply(sip.StatusForbidden)
					case user == "nobody":
						tx.Forward(req)
					case user == "bob":
						tx.Reply(sip.StatusProxyAuthRequired, sip.Field{
							Name: "Proxy-Authenticate", Value: `Digest realm="example.com", nonce="` + strings.Repeat("n", 60) + `", qop="auth"`})
					}
				}})
				victim := s.wire(aliceAddr)
				fields := test.fields
				if !strings.HasPrefix(fields, "Max-Forwards") {
					fields += "Max-Forwards: 70\r\n"
				}
				invite := fmt.Sprintf("INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bK1\r\n%s"+
					"From: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n", test.uri, aliceAddr, fields)
				want := test.want
				for range 2 {
					if _, err := victim.conn.WriteTo([]byte(invite), victim.to); err != nil {
						t.Fatal(err)
					}
					got, size := victim.statuses(20 * time.Second)
					if got != want {
						t.Errorf("the victim gets %q, %d bytes, want %q", got, size, want)
					}
					want = want[len(want)-3:] // once more for the same INVITE
				}
			})
		})
	}
}

// statuses returns the statuses of all that comes within a time, and its bytes.
func (w *wire) statuses(within time.Duration) (statuses string, size int) {
	w.conn.SetReadDeadline(time.Now().Add(within))
	var list []string
	for {
		var b [4096]byte
		n, _, err := w.conn.ReadFrom(b[:])
		if err != nil {
			return strings.Join(list, " "), size
		}
		list = append(list, string(b[8:11]))
		size += n
	}
}
