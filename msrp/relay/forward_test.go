package relay_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

func TestMessageBetweenTwoClientsOfOneRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		alice.write(send("d93kswow", a+" "+b+" "+bob.ours, alice.ours, "Success-Report: yes\nByte-Range: 1-5/5\n", "hello"))
		g := alice.response("d93kswow", frame.StatusOK)
		if g.To != alice.ours || g.From != a {
			t.Errorf("paths of the 200 are %q and %q, want the hop before and our URI", g.To, g.From)
		}
		g = bob.read()
		if g.ID == "d93kswow" || g.To != bob.ours || g.From != b+" "+a+" "+alice.ours || g.body != "hello" ||
			g.flag != frame.Complete || !g.SuccessReport || g.MessageID != "m-d93kswow" || g.Range.Start != 1 || g.Range.Total != 5 {
			t.Errorf("bob got %+v", g)
		}
		bob.answer(g, frame.StatusOK)
		bob.write("MSRP yh67 REPORT\nTo-Path: " + g.From + "\nFrom-Path: " + bob.ours +
			"\nMessage-ID: m-d93kswow\nByte-Range: 1-5/5\nStatus: 000 200 Read by Bob\n-------yh67$\n")
		g = alice.read()
		if g.Method != frame.REPORT || g.To != alice.ours || g.From != a+" "+b+" "+bob.ours || g.Report != frame.StatusOK || g.Comment != "Read by Bob" {
			t.Errorf("alice got %+v", g)
		}
		alice.silent()
		bob.silent()
	})
}

// The peer of a client needs no relay: it is reached where it listens, and the client is reached
// through the connection that the relay has made.
func TestClientReachesAPeerThatListens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		l := w.listen("bob")
		alice, a := w.client("alice", example)
		to := "msrp://bob:2855/bob1;tcp"
		alice.write(send("aaaa", a+" "+to, alice.ours, "", "one"))
		alice.response("aaaa", frame.StatusOK)
		bob := w.accept("bob", l)
		g := bob.read()
		if g.body != "one" || g.To != to || g.From != a+" "+alice.ours {
			t.Errorf("bob got %+v", g)
		}
		bob.answer(g, frame.StatusOK)
		alice.write(send("bbbb", a+" msrp://BOB:2855/bob2;tcp", alice.ours, "", "two"))
		alice.response("bbbb", frame.StatusOK)
		bob.answer(bob.read(), frame.StatusOK) // on the same connection (RFC 4975 section 5.4)
		bob.write(send("cccc", a+" "+alice.ours, to, "", "three"))
		bob.response("cccc", frame.StatusOK)
		alice.answer(alice.read(), frame.StatusOK)
		// It is made again when it was lost.
		bob.nc.Close()
		synctest.Wait()
		alice.write(send("dddd", a+" msrp://BOB:2855/bob2;tcp", alice.ours, "", "four"))
		if alice.response("dddd", frame.StatusOK).Status == frame.StatusOK {
			if g := w.accept("bob", l).read(); g.body != "four" {
				t.Errorf("then bob got %+v", g)
			}
		}
	})
}

// A peer behind a NAT is reached on the connection that it has made (RFC 4975 section 5.4).
func TestClientReachesAPeerThatHasConnected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob := w.dial("bob", example)
		bob.ours = "msrp://bob.invalid:9/x;tcp"
		// The empty SEND that binds a session (RFC 4975 section 5.4).
		bob.write("MSRP aaaa SEND\nTo-Path: " + a + " " + alice.ours + "\nFrom-Path: " + bob.ours + "\nMessage-ID: 1\n-------aaaa$\n")
		bob.response("aaaa", frame.StatusOK)
		g := alice.read()
		if g.HasBody || g.Method != frame.SEND || g.From != a+" "+bob.ours {
			t.Errorf("alice got %+v", g)
		}
		alice.answer(g, frame.StatusOK)
		alice.write(send("bbbb", a+" "+bob.ours, alice.ours, "", "hi"))
		alice.response("bbbb", frame.StatusOK)
		if g := bob.read(); g.body != "hi" {
			t.Errorf("bob got %+v", g)
		}

		// Nobody else takes his place while he is there.
		mallory := w.dial("mallory", example)
		mallory.write(send("cccc", a+" "+alice.ours, bob.ours, "", "hi"))
		mallory.response("cccc", frame.StatusSessionBoundElsewhere)
		bob.nc.Close()
		synctest.Wait()
		bob2 := w.dial("bob", example)
		bob2.write(send("dddd", a+" "+alice.ours, bob.ours, "", "hi"))
		bob2.response("dddd", frame.StatusOK)
	})
}

// RFC 4976 section 6.4: only from the client that has got the URI, or to it.
func TestOnlyForItsClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		victim := w.listen("victim")
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)

		// To another than alice there is no way but for her: bob's request goes to her.
		bob.write(send("aaaa", a+" msrp://victim:2855/v;tcp", bob.ours, "", "spam"))
		bob.response("aaaa", frame.StatusOK)
		if g := alice.read(); g.To != "msrp://victim:2855/v;tcp" || g.body != "spam" {
			t.Errorf("alice got %+v", g)
		}
		alice.answer(alice2(alice), frame.StatusOK)
		for name, to := range map[string]string{
			"a URI that was never given":  "msrp://" + example + ":2855/guess;tcp msrp://victim:2855/v;tcp",
			"another port":                strings.Replace(b, ":2855", ":2856", 1) + " msrp://victim:2855/v;tcp",
			"another scheme":              strings.Replace(b, "msrp:", "msrps:", 1) + " msrp://victim:2855/v;tcp",
			"another case of the session": strings.ToUpper(b[:strings.Index(b, ";")]) + ";tcp msrp://victim:2855/v;tcp",
			"no relay of ours":            "msrp://victim:2855/v;tcp",
			"nobody behind the relay":     b,
			"a session that is none":      b + " msrp://" + example + ":2855/guess;tcp msrp://victim:2855/v;tcp",
			"a transport without a way":   b + " msrp://victim:2855/v;ws",
		} {
			bob.write(send("bbbb", to, bob.ours, "", "spam"))
			if g := bob.response("bbbb", frame.StatusNoSession); g.To != bob.ours {
				t.Errorf("%s: %+v", name, g)
			}
		}
		go victim.Close()
		if nc, err := victim.Accept(); err == nil {
			t.Errorf("somebody connected to the victim: %v", nc.RemoteAddr())
		}
	})
}

// alice2 is the request again that alice has in her hands.
func alice2(p *raw) got {
	return got{Head: &frame.Head{ID: "none", Method: frame.SEND, To: p.ours, From: p.ours}}
}

func TestLoopsAndLongPathsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		peer := " msrp://bob:2855/b;tcp"
		for name, paths := range map[string][2]string{
			"twice in To-Path":     {a + " " + a + peer, alice.ours},
			"in From-Path as well": {a + peer, a + " " + alice.ours},
			"sixteen and one":      {a + strings.Repeat(peer, 16), alice.ours},
			"from many":            {a + peer, alice.ours + strings.Repeat(peer, 16)},
			"no URI":               {a + " bob", alice.ours},
		} {
			alice.write(send("aaaa", paths[0], paths[1], "", "hi"))
			if g := alice.read(); g.Status != frame.StatusBadRequest {
				t.Errorf("%s: %v, want 400", name, g)
			}
		}
		// A head of more than 16 KB is no MSRP.
		alice.nc.SetWriteDeadline(time.Now().Add(time.Second))
		alice.nc.Write([]byte("MSRP aaaa SEND\r\nTo-Path: " + a + strings.Repeat(peer, 1000) + "\r\n"))
		alice.ended()
	})
}

func TestFailureReports(t *testing.T) {
	for _, c := range []struct {
		name, report string
		answer       frame.Status // 0: none
		response     bool         // alice gets one
		want         frame.Status // of the REPORT; 0: none
	}{
		{"yes", "yes", 200, true, 0},
		{"yes, refused", "yes", 413, true, 413},
		{"yes, unknown code", "yes", 499, true, 499},
		{"yes, a code of another class", "yes", 501, true, 501},
		{"yes, bound elsewhere", "yes", 506, true, 506},
		{"yes, a code of no class", "yes", 300, true, 300},
		{"yes, no answer", "yes", 0, true, 408},
		{"partial", "partial", 0, false, 0},
		{"partial, refused", "partial", 481, false, 481},
		{"partial, bound elsewhere", "partial", 506, false, 506},
		{"no", "no", 0, false, 0},
		{"no, refused", "no", 481, false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.relay(example, relay.Config{})
				alice, a := w.client("alice", example)
				bob, b := w.client("bob", example)
				alice.write(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "Failure-Report: "+c.report+"\nByte-Range: 11-15/40\n", "hello"))
				if c.response {
					alice.response("aaaa", frame.StatusOK)
				}
				g := bob.read()
				if g.Range.Start != 11 || g.Range.Total != 40 {
					t.Errorf("bob got %v of %v", g.Range, g)
				}
				began := time.Now()
				if c.answer != 0 {
					bob.answer(g, c.answer)
				}
				if c.want == 0 {
					time.Sleep(time.Minute)
					alice.silent()
					return
				}
				g = alice.read()
				if g.Method != frame.REPORT || g.Report != c.want || g.Range != (frame.Range{Start: 11, End: 15, Total: 40}) ||
					g.MessageID != "m-aaaa" || g.To != alice.ours || g.From != a || g.HasBody {
					t.Errorf("alice got %+v, want a REPORT of %d", g, c.want)
				}
				if took := time.Since(began); c.want == 408 && took != 30*time.Second {
					t.Errorf("REPORT after %v, want 30s", took)
				}
				alice.silent()
			})
		})
	}
}

// A REPORT cannot say 000: what was refused so is said to be bad.
func TestStatusThatNoReportHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		alice.write(send("aaaa", a+" "+b+" "+bob.ours, alice.ours, "", "hi"))
		alice.response("aaaa", frame.StatusOK)
		g := bob.read()
		bob.write("MSRP " + g.ID + " 000 X\nTo-Path: " + b + "\nFrom-Path: " + bob.ours + "\n-------" + g.ID + "$\n")
		if g := alice.read(); g.Method != frame.REPORT || g.Report != frame.StatusBadRequest {
			t.Errorf("alice got %+v, want a REPORT of 400", g.Head)
		}
	})
}

func TestNoReportOnAReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		for _, to := range []string{a + " msrp://nowhere:2855/b;tcp", "msrp://" + example + ":2855/guess;tcp " + alice.ours, "junk"} {
			alice.write("MSRP aaaa REPORT\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\nMessage-ID: 1\nStatus: 000 200 OK\n-------aaaa$\n")
		}
		time.Sleep(time.Minute)
		alice.silent()
	})
}

// Nobody answers a REPORT (RFC 4975 section 7.1.2), nor what says that it wants no response (section 7.2): the relay waits
// for none, and passes on as many as there are.
func TestWhatHasNoResponseIsNotWaitedFor(t *testing.T) {
	for _, kind := range []string{"REPORT\nStatus: 000 200 OK\n", "REPORT\nStatus: 000 413 Stop\nFailure-Report: yes\n", "NICKNAME\nFailure-Report: no\n"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			w.relay(example, relay.Config{})
			alice, a := w.client("alice", example)
			bob, b := w.client("bob", example)
			method, fields, _ := strings.Cut(kind, "\n")
			for i := range 1000 {
				id := fmt.Sprint("id", i)
				alice.write("MSRP " + id + " " + method + "\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
					"\nMessage-ID: " + id + "\n" + fields + "-------" + id + "$\n")
				if g := bob.read(); string(g.Method) != method || g.MessageID != id {
					t.Fatalf("bob got %+v, want %s %s", g.Head, method, id)
				}
			}
			time.Sleep(time.Minute)
			alice.silent()
		})
	}
}

// RFC 4976 section 6.4.2: what is not known is forwarded, and its response comes back the whole way.
func TestOtherMethodsAreForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		body := strings.Repeat("x", 10240)
		for i, method := range []string{"NICKNAME", "FUTURE"} {
			id := "aaaa" + strconv.Itoa(i)
			alice.write("MSRP " + id + " " + method + "\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours +
				"\nUse-Nickname: \"Al\"\nContent-Type: text/plain\n\n" + body + "\n-------" + id + "$\n")
			g := bob.read()
			if nick, _ := g.Get("use-nickname"); g.Method != frame.Method(method) || nick != `"Al"` || g.body != body || g.From != b+" "+a+" "+alice.ours {
				t.Errorf("bob got %+v", g.Head)
			}
			bob.write("MSRP " + g.ID + " 425 Taken\nTo-Path: " + g.From + "\nFrom-Path: " + bob.ours + "\nX-More: yes\n-------" + g.ID + "$\n")
			g = alice.response(id, frame.StatusNicknameInUse)
			if more, _ := g.Get("X-More"); g.To != alice.ours || g.From != a+" "+b+" "+bob.ours || more != "yes" || g.Comment != "Taken" {
				t.Errorf("alice got %+v", g.Head)
			}
		}
		// One that gets no answer is answered for.
		alice.write("MSRP bbbb FUTURE\nTo-Path: " + a + " " + b + " " + bob.ours + "\nFrom-Path: " + alice.ours + "\n-------bbbb$\n")
		bob.read()
		alice.response("bbbb", frame.StatusTimeout)
	})
}

func TestPeerThatCannotBeReached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		w.host("bob") // where nobody listens
		w.host("down").Down()
		for _, host := range []string{"bob", "down", "unknown"} {
			began := time.Now()
			alice.write(send("aaaa", a+" msrp://"+host+":2855/b;tcp", alice.ours, "Byte-Range: 1-2/2\n", "hi"))
			// It comes to nothing before the end of the chunk is here, or after.
			if g := alice.read(); g.Status == frame.StatusOK {
				if g = alice.read(); g.Report != frame.StatusTimeout || g.Range != (frame.Range{Start: 1, End: 2, Total: 2}) {
					t.Errorf("%s: alice got %+v, want a REPORT of 408", host, g)
				}
			} else if g.Status != frame.StatusTimeout {
				t.Errorf("%s: alice got %+v, want a response of 408", host, g)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s: it took %v", host, took)
			}
			alice.write("MSRP bbbb FUTURE\nTo-Path: " + a + " msrp://" + host + ":2855/b;tcp\nFrom-Path: " + alice.ours + "\n-------bbbb$\n")
			alice.response("bbbb", frame.StatusTimeout)
		}
	})
}

// RFC 4976 section 6.4.1: a receiver that goes fails what is under way, and has no session then.
func TestReceiverThatGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		to := a + " " + b + " " + bob.ours
		// One is written and not answered, one is on its way.
		alice.write(send("aaaa", to, alice.ours, "Byte-Range: 1-2/2\n", "hi"))
		alice.response("aaaa", frame.StatusOK)
		bob.read()
		alice.write("MSRP bbbb SEND\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\nMessage-ID: m-b\nByte-Range: 1-*/100\nContent-Type: text/plain\n\nbegin")
		synctest.Wait()
		bob.nc.Close()
		got := map[string]frame.Status{}
		for range 2 {
			g := alice.read()
			if g.Method == frame.REPORT {
				got[g.MessageID+g.Range.String()] = g.Report
			} else {
				got[g.ID] = g.Status
			}
		}
		if got["m-aaaa1-2/2"] != frame.StatusNoSession || got["bbbb"] != frame.StatusNoSession {
			t.Errorf("alice got %v, want a REPORT on the first message and a response to the second, of 481", got)
		}
		alice.write(" and go on\n-------bbbb#\n")
		alice.silent()
		alice.write(send("cccc", to, alice.ours, "", "hi"))
		alice.response("cccc", frame.StatusNoSession)
		alice.silent()
	})
}

func TestBadRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		bob, b := w.client("bob", example)
		to := a + " " + b + " " + bob.ours
		for name, fields := range map[string]string{
			"Byte-Range from 0":       "Byte-Range: 0-1/1\nContent-Type: text/plain\n",
			"Byte-Range of 2^63":      "Byte-Range: 9223372036854775808-*/*\nContent-Type: text/plain\n",
			"no Content-Type":         "Message-ID: 1\n",
			"Message-ID twice":        "Message-ID: 1\nMessage-ID: 2\nContent-Type: text/plain\n",
			"what is no header field": "junk\nContent-Type: text/plain\n",
		} {
			alice.write("MSRP aaaa SEND\nTo-Path: " + to + "\nFrom-Path: " + alice.ours + "\n" + fields + "\nhi\n-------aaaa$\n")
			if g := alice.read(); g.Status != frame.StatusBadRequest {
				t.Errorf("%s: %v, want 400", name, g)
			}
		}
		bob.silent()
		alice.writeRaw("GET / HTTP/1.1\r\n\r\n")
		alice.ended()
	})
}

// One user cannot have the relay connect everywhere at once, and does not keep it from connecting for
// others.
func TestConnectionsInTheMakingAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{})
		alice, a := w.client("alice", example)
		w.host("down").Down()
		carol, c := w.client("carol", example)
		refused := 0
		for port := range 300 {
			alice.write("MSRP aaaa FUTURE\nTo-Path: " + a + " msrp://down:" + strconv.Itoa(port+1) + "/b;tcp\nFrom-Path: " + alice.ours + "\n-------aaaa$\n")
		}
		began := time.Now()
		for range 300 - 25 {
			alice.response("aaaa", frame.StatusTimeout)
			if time.Since(began) == 0 {
				refused++
			}
		}
		if refused != 300-25 {
			t.Errorf("%d are refused at once, want %d", refused, 300-25)
		}
		l := w.listen("bob")
		carol.write(send("bbbb", c+" msrp://bob:2855/b;tcp", carol.ours, "", "hi"))
		if g := w.accept("bob", l).read(); g.body != "hi" || time.Since(began) > 0 {
			t.Errorf("bob got %+v after %v, want it at once", g, time.Since(began))
		}
		carol.response("bbbb", frame.StatusOK)
		for range 25 {
			alice.response("aaaa", frame.StatusTimeout)
		}
		alice.write(send("cccc", a+" "+"msrp://bob:2855/b;tcp", alice.ours, "", "hi again"))
		alice.response("cccc", frame.StatusOK)
	})
}

// A hop whose URI says TLS has it: nobody comes by TCP to such a URI of a client, or speaks for one of
// a peer, to whom the client's messages would go in clear text (RFC 4975 section 6).
func TestSecureURIsWithoutTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay(example, relay.Config{Listen: []string{"tls::2855", "tcp::2856"}, TLS: w.tls(example)})
		alice := w.dialTLS("alice", example, ":2855", nil)
		uri := alice.auth("alice", "msrps://"+example+";tcp")
		for i, from := range []string{"msrps://bob.example.net:2855/bob1;tcp", "msrp://bob.example.net:2855/bob2;tcp"} {
			nc, err := w.host("mallory").DialContext(t.Context(), "tcp", example+":2856")
			if err != nil {
				t.Fatal(err)
			}
			mallory := w.raw("mallory", nc)
			id := "mal" + string(rune('0'+i))
			mallory.write(send(id, uri+" "+alice.ours, from, "", "x"))
			mallory.response(id, 403)
		}
	})
}
