package relay_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

// at gives a host an address, which is its name in URIs.
func (w *world) at(name, address string) {
	w.names[name], w.hosts[name] = address, w.net.Host(address)
}

// Hosts are addresses of IPv6, in brackets or not, and however their zeros are written (RFC 4975 section
// 6.1): a relay that clients reach by its address, messages between them, and a peer to connect to.
func TestIPv6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.at(example, "2001:db8::1")
		w.at("alice", "2001:db8::a")
		w.at("bob", "2001:db8::b")
		w.at("carol", "2001:db8::c")
		w.relay(example, relay.Config{Host: "[2001:db8::1]"})
		dial := func(name, ours string) *raw {
			p := w.dial(name, "[2001:db8::1]")
			p.ours = ours
			return p
		}
		alice := dial("alice", "msrp://[2001:db8::a]:2855/a1;tcp")
		a := alice.auth("alice", "msrp://alice@[2001:DB8:0:0::1]:2855;tcp")
		if !strings.HasPrefix(a, "msrp://[2001:db8::1]:2855/") {
			t.Errorf("Use-Path is %q, want the address in brackets, with the port", a)
		}
		bob := dial("bob", "msrp://[2001:db8::b]:2855/b1;tcp")
		b := bob.auth("bob", "msrp://[2001:db8::1]:2855;tcp")

		session := strings.TrimPrefix(b, "msrp://[2001:db8::1]:2855/")
		for i, host := range []string{"[2001:db8::1]", "[2001:0DB8:0000::0:1]", "2001:db8::1"} {
			id := "aaa" + string(rune('0'+i))
			alice.write(send(id, a+" msrp://"+host+":2855/"+session+" "+bob.ours, alice.ours, "", "hi"))
			alice.response(id, frame.StatusOK)
			if g := bob.read(); g.body != "hi" || g.To != bob.ours || g.From != "msrp://"+host+":2855/"+session+" "+a+" "+alice.ours {
				t.Errorf("bob got %+v", g.Head)
			}
		}

		// A peer that listens has one connection, however its address is written.
		l := w.listen("carol")
		alice.write(send("bbbb", a+" msrp://[2001:db8::c]:2855/c1;tcp", alice.ours, "", "one"))
		alice.response("bbbb", frame.StatusOK)
		carol := w.accept("carol", l)
		alice.write(send("cccc", a+" msrp://[2001:DB8::0:C]:2855/c1;tcp", alice.ours, "", "two"))
		alice.response("cccc", frame.StatusOK)
		for _, want := range []string{"one", "two"} {
			if g := carol.read(); g.body != want {
				t.Errorf("carol got %+v, want %q", g, want)
			}
		}
		carol.write(send("dddd", strings.ToUpper(a[:20])+a[20:]+" "+alice.ours, "msrp://[2001:db8:0::c]:2855/c1;tcp", "", "three"))
		carol.response("dddd", frame.StatusOK)
		for {
			if g := alice.read(); g.body == "three" {
				break
			} else if g.Method == "" {
				t.Fatalf("alice got %+v", g.Head)
			}
		}
	})
}

// Relays whose names are addresses prove them by their certificates (RFC 4976 section 9.2), and their
// URIs are good on all their connections (section 6.3).
func TestIPv6RelaysVerifyEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, address := range []string{"2001:db8::1", "2001:db8::2"} {
			w.at(address, address)
		}
		w.at("alice", "2001:db8::a")
		w.at("bob", "2001:db8::b")
		w.relay("2001:db8::1", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("2001:db8::1")})
		w.relay("2001:db8::2", relay.Config{Listen: []string{"tls::2855"}, TLS: w.tls("2001:db8::2")})
		alice := w.dialTLS("alice", "[2001:db8::1]", ":2855", nil)
		first := alice.auth("alice", "msrps://[2001:db8::1]:2855;tcp")
		path := alice.auth("alice", first+" msrps://[2001:DB8::2]:2855;tcp")
		uris := strings.Fields(path)
		if len(uris) != 2 || uris[0] != first || !strings.HasPrefix(uris[1], "msrps://[2001:db8::2]:2855/") {
			t.Fatalf("Use-Path is %q", path)
		}
		own := w.tls("2001:db8::1")
		again := w.dialTLS("2001:db8::1", "[2001:db8::2]", ":2855", own) // another connection of the first relay
		bob := w.dialTLS("bob", "[2001:db8::2]", ":2855", nil)
		b := bob.auth("bob", "msrps://[2001:db8::2]:2855;tcp")
		again.write(send("aaaa", uris[1]+" "+b+" "+bob.ours, uris[0]+" "+alice.ours, "", "out"))
		again.response("aaaa", frame.StatusOK)
		if g := bob.read(); g.body != "out" || g.From != b+" "+uris[1]+" "+uris[0]+" "+alice.ours {
			t.Errorf("bob got %+v", g.Head)
		}
		bob.write(send("bbbb", b+" "+uris[1]+" "+uris[0]+" "+alice.ours, bob.ours, "", "in"))
		bob.response("bbbb", frame.StatusOK)
		if g := alice.read(); g.body != "in" {
			t.Errorf("alice got %+v", g.Head)
		}
	})
}
