package relay_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
	"github.com/goparley/parley/sip/siptest"
)

// RFC 4976 section 6.5: an hour without a request ends a connection, but not that of a client with a URI.
func TestConnectionsThatAreNotUsedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxExpires: 24 * time.Hour})
		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		say := func() {
			bob.write(send("aaaa", a+" "+alice.ours, bob.ours, "", "hi"))
			bob.response("aaaa", frame.StatusOK)
			alice.answer(alice.read(), frame.StatusOK)
		}
		for range 3 {
			say()
			time.Sleep(59 * time.Minute)
		}
		bob.nc.SetReadDeadline(time.Now().Add(5 * time.Minute))
		if _, err := bob.in.Next(); err == nil || isTimeout(err) {
			t.Errorf("bob's connection after 64 minutes: %v, want its end", err)
		}
		alice.silent()
		bob = w.dial("bob", example)
		say()
	})
}

// Nor does one on which a chunk takes longer than that, but comes.
func TestChunkThatTakesLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{MaxExpires: 24 * time.Hour})
		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		bob.write("MSRP aaaa SEND\nTo-Path: " + a + " " + alice.ours + "\nFrom-Path: " + bob.ours + "\nMessage-ID: m\nByte-Range: 1-*/*\nContent-Type: text/plain\n\n")
		const pieces = 24
		for range pieces {
			bob.write("tick")
			time.Sleep(5 * time.Minute)
		}
		bob.write("\n-------aaaa$\n")
		bob.response("aaaa", frame.StatusOK)
		alice.nc.SetReadDeadline(time.Time{})
		if g := alice.read(); g.body != strings.Repeat("tick", pieces) || g.flag != frame.Complete {
			t.Errorf("alice got %q, %c", g.body, g.flag)
		}
	})
}

// One URI is used by a few neighbors at a time, so that nobody grows what is known of it without bound.
func TestNeighborsOfAURIAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		var first *raw
		try := func(i int) *raw {
			p := w.dial("peer", example)
			p.ours = "msrp://peer.invalid:9/p" + strconv.Itoa(i) + ";tcp"
			p.write(send("aaaa", a+" "+alice.ours, p.ours, "Failure-Report: yes\n", "hi"))
			return p
		}
		for i := range 16 {
			p := try(i)
			p.response("aaaa", frame.StatusOK)
			alice.answer(alice.read(), frame.StatusOK)
			if i == 0 {
				first = p
			}
		}
		try(16).response("aaaa", frame.StatusForbidden)
		first.nc.Close()
		synctest.Wait()
		try(17).response("aaaa", frame.StatusOK)
		if g := alice.read(); g.body != "hi" {
			t.Errorf("alice got %+v", g.Head)
		}
	})
}

// RFC 4976 section 6.4: a request goes to the client of a URI whoever it comes from, even from itself.
func TestClientReachesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		alice.write(send("aaaa", a+" "+alice.ours, alice.ours, "Failure-Report: no\n", "hi"))
		if g := alice.read(); g.body != "hi" || g.From != a+" "+alice.ours {
			t.Errorf("alice got %+v", g.Head)
		}
	})
}

// Failure-Report: no means no response and no REPORT, whatever becomes of the message (RFC 4975 section
// 7.1.1).
func TestNoReportWhereNoneIsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		w.host("down").Down()
		alice.write(send("aaaa", a+" msrp://down:2855/b;tcp", alice.ours, "Failure-Report: no\n", "hi"))
		alice.write("MSRP bbbb SEND\nTo-Path: " + a + " msrp://down:2855/b;tcp\nFrom-Path: " + alice.ours + "\nMessage-ID: m\nFailure-Report: no\n-------bbbb$\n")
		time.Sleep(time.Minute)
		alice.silent()
	})
}

// RFC 4976 section 4.2: Use-Path has the relays in the order of To-Path, however many there are.
func TestUsePathOfAChain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		p := w.dial("second", example)
		p.ours = "msrp://second:2855/2;tcp msrp://first:2855/1;tcp msrp://alice.invalid:9/a;tcp"
		path := strings.Fields(p.auth("alice", "msrp://"+example+":2855;tcp"))
		if len(path) != 3 || path[0] != "msrp://first:2855/1;tcp" || path[1] != "msrp://second:2855/2;tcp" {
			t.Errorf("Use-Path is %q, want the first, the second and ours", path)
		}
	})
}

// A peer whose URI says TLS, and who has come without, is not where the client's messages to that URI go:
// these have TLS (RFC 4975 section 6).
func TestPeerWithASecureURIIsReachedByTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		mallory := w.dial("mallory", example)
		bob := "msrps://bob:2855/bob1;tcp"
		w.host("bob")
		mallory.write(send("aaaa", a+" "+alice.ours, bob, "", "hi"))
		mallory.response("aaaa", frame.StatusOK)
		alice.answer(alice.read(), frame.StatusOK)
		alice.write(send("bbbb", a+" "+bob, alice.ours, "Failure-Report: partial\n", "a secret"))
		if g := alice.read(); g.Status != frame.StatusTimeout && g.Report != frame.StatusTimeout {
			t.Errorf("alice got %+v, want 408", g.Head)
		}
		mallory.silent()
	})
}

// Only a certificate that an authority has signed, and only for the name that is in it, says that a
// neighbor is a relay (RFC 4976 section 6.3): what a URI was given for then is used by nobody else.
func TestWhoIsNotThatRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("extra.example.com", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("extra.example.com")})
		intra := w.dialTLS("intra.example.com", "extra.example.com", ":2855", w.tls("intra.example.com"))
		intra.ours = "msrps://intra.example.com:2855/i1;tcp msrps://alice.invalid:2855/a;tcp"
		path := strings.Fields(intra.auth("alice", "msrps://extra.example.com;tcp"))

		// What any of these sends out by the URI goes to the relay as what is for its client.
		self := &tls.Config{Certificates: []tls.Certificate{siptest.NewAuthority().Certificate("intra.example.com")}}
		forged := w.dialTLS("forged", "extra.example.com", ":2855", self)
		other := w.dialTLS("other", "extra.example.com", ":2855", w.tls("other.example.com"))
		bob := w.dialTLS("bob", "extra.example.com", ":2855", nil)
		b := bob.auth("bob", "msrps://extra.example.com;tcp")
		l, err := w.host("peer.example.com").Listen(t.Context(), "tcp", ":2855")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		bob.write(send("aaaa", b+" msrps://peer.example.com:2855/p;tcp", bob.ours, "", "hi"))
		bob.response("aaaa", frame.StatusOK)
		nc, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		dialed := w.raw("peer.example.com", tls.Server(nc, w.tls("peer.example.com")))
		dialed.read()
		for i, p := range []*raw{forged, other, dialed} {
			id := "fff" + strconv.Itoa(i)
			p.write(send(id, path[1]+" msrps://nowhere.example.com:2855/x;tcp", p.ours, "", "out"))
			p.response(id, frame.StatusOK)
			if g := intra.read(); g.body != "out" || g.To != "msrps://nowhere.example.com:2855/x;tcp" {
				t.Errorf("%s: intra got %+v, want what was sent by the URI of its client", p.name, g.Head)
			}
		}
		// A relay that is at the other end of two connections sends to one session on both.
		again := w.dialTLS("intra.example.com", "extra.example.com", ":2855", w.tls("intra.example.com"))
		for i, p := range []*raw{intra, again} {
			id := "iii" + strconv.Itoa(i)
			p.write(send(id, b+" "+bob.ours, intra.ours, "Failure-Report: yes\n", "in"))
			p.response(id, frame.StatusOK)
			if g := bob.read(); g.body != "in" {
				t.Errorf("bob got %+v", g.Head)
			}
		}
	})
}

// RFC 7977 section 7: a web page of another origin may open WebSockets, if the program lets it.
func TestOriginIsAllowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"ws::80"}})
		nc, err := w.host("alice").DialContext(t.Context(), "tcp", example+":80")
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		io.WriteString(nc, "GET / HTTP/1.1\r\nHost: "+example+"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: https://www.example.com\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: msrp\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Access-Control-Allow-Origin"); resp.StatusCode != http.StatusSwitchingProtocols || got != "https://www.example.com" {
			t.Errorf("%s, Access-Control-Allow-Origin %q, want 101 for the origin", resp.Status, got)
		}
	})
}
