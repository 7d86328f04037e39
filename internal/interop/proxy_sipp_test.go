package interop_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/transaction/proxy"
)

// 200 calls a second through our proxy, for ten seconds, and none fails.
func TestCallStorm(t *testing.T) {
	interop.Need(t)
	const calls, rate = 2000, 200
	v := capturing(t, func(t *testing.T) {
		server := interop.StartExample(t, nil, "bob")
		bob := interop.StartSIPp(t, "uas", &interop.SIPpOptions{Calls: calls})
		registered(t, server, "bob", contact(bob, ""))
		caller := interop.StartSIPp(t, "uac", &interop.SIPpOptions{
			Target: server.At("udp", "127.0.0.1"), User: "bob", Domain: "sip.test",
			Calls: calls, Rate: rate, Hold: 100 * time.Millisecond, Args: []string{"-l", fmt.Sprint(calls)},
		})
		for side, got := range map[string]interop.SIPpStats{"caller": caller.Wait(t), "callee": bob.Wait(t)} {
			if got.Successful != calls || got.Failed != 0 {
				t.Errorf("%s: %d calls succeeded and %d failed, want %d and 0", side, got.Successful, got.Failed, calls)
			}
			// More than a few are those of a machine that is busy otherwise.
			if got.Retransmissions > calls/10 {
				t.Errorf("%s: %d retransmissions, want %d or less", side, got.Retransmissions, calls/10)
			}
			t.Logf("%s: %d retransmissions", side, got.Retransmissions)
		}
	})
	// INVITE, 180, 200, ACK, BYE and its 200, on both sides.
	if v.SIP < 12*calls {
		t.Errorf("%d packets of SIP, want %d or more", v.SIP, 12*calls)
	}
}

// A callee is a script that one of the bindings of a user leads to.
type callee struct {
	script, answer string
	q              string
	last           bool // says nothing until all others have been asked
}

// Users with several bindings: who is asked, who is cancelled, and what the caller
// is told.
func TestForks(t *testing.T) {
	interop.Need(t)
	tests := []struct {
		user    string // and what happens to the call
		callees []callee
		unasked string // the q of a binding that nothing must be sent to; empty: none
		caller  string
		want    string // the status that the caller is told; empty: 486
	}{
		{user: "two", caller: "uac", callees: []callee{{script: "uas", last: true}, {script: "uas_cancel"}}},
		{user: "three", caller: "uac", callees: []callee{{script: "uas_cancel"}, {script: "uas", last: true}, {script: "uas_cancel"}}},
		{user: "series", caller: "uac", unasked: "0.1", callees: []callee{
			{script: "uas_refuse", q: "1.0"}, {script: "uas_refuse", q: "1.0", answer: "404 Not Found"}, {script: "uas", q: "0.5"},
		}},
		{user: "all_refuse", caller: "uac_refused", callees: []callee{
			{script: "uas_refuse", answer: "500 Server Internal Error"}, {script: "uas_refuse"}, {script: "uas_refuse", answer: "504 Server Time-out"},
		}},
		{user: "all_refuse_in_series", caller: "uac_refused", want: "480", callees: []callee{
			{script: "uas_refuse", q: "0.9", answer: "480 Temporarily Unavailable"}, {script: "uas_refuse", q: "0.8"}, {script: "uas_refuse", q: "0.7", answer: "503 Service Unavailable"},
		}},
		// A 503 is about the next hop, and not about us (RFC 3261 section 16.7).
		{user: "unavailable", caller: "uac_refused", want: "500", callees: []callee{{script: "uas_refuse", answer: "503 Service Unavailable"}}},
		{user: "declined", caller: "uac_refused", want: "603", unasked: "0.1", callees: []callee{
			{script: "uas_cancel", q: "1.0"}, {script: "uas_refuse", q: "1.0", answer: "603 Decline", last: true},
		}},
		{user: "given_up", caller: "uac_cancel", unasked: "0.1", callees: []callee{{script: "uas_cancel", q: "1.0", last: true}, {script: "uas_cancel", q: "1.0", last: true}}},
	}
	var users []string
	for _, c := range tests {
		users = append(users, c.user)
	}
	capturing(t, func(t *testing.T) {
		server := interop.StartExample(t, nil, users...)
		for _, c := range tests {
			t.Run(c.user, func(t *testing.T) {
				t.Parallel()
				var callees []*interop.SIPp
				var contacts []string
				for _, call := range c.callees {
					opts := &interop.SIPpOptions{Answer: call.answer}
					if call.last {
						opts.Hold = 200 * time.Millisecond
					}
					script := interop.StartSIPp(t, call.script, opts)
					callees, contacts = append(callees, script), append(contacts, contact(script, call.q))
				}
				if c.unasked != "" {
					contacts = append(contacts, unasked(t)+";q="+c.unasked)
				}
				registered(t, server, c.user, contacts...)
				wantCall(t, server, c.caller, c.user, &interop.SIPpOptions{Want: c.want})
				for _, script := range callees {
					wantCalls(t, script, 1)
				}
			})
		}
	})
}

// A redirection is passed on, or followed if the proxy was told to (RFC 3261
// section 16.7 step 4).
func TestRedirections(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		t.Run("passed on", func(t *testing.T) {
			t.Parallel()
			server := interop.StartExample(t, nil, "bob")
			bob := interop.StartSIPp(t, "uas_refuse", &interop.SIPpOptions{Answer: "302 Moved Temporarily\n    Contact: " + unasked(t)})
			registered(t, server, "bob", contact(bob, ""))
			wantCall(t, server, "uac_refused", "bob", &interop.SIPpOptions{Want: "302", Text: "sip:nobody@127.0.0.1:"})
			wantCalls(t, bob, 1)
		})
		t.Run("followed", func(t *testing.T) {
			t.Parallel()
			server := interop.StartExample(t, &interop.ExampleOptions{Recurse: true}, "bob")
			busy := interop.StartSIPp(t, "uas_refuse", nil)
			there := interop.StartSIPp(t, "uas", nil)
			bob := interop.StartSIPp(t, "uas_refuse", &interop.SIPpOptions{
				Answer: "302 Moved Temporarily\n    Contact: " + contact(busy, "0.9") + ", " + contact(there, "0.5"),
			})
			registered(t, server, "bob", contact(bob, ""))
			wantCall(t, server, "uac", "bob", nil)
			wantCalls(t, bob, 1)
			wantCalls(t, busy, 1)
			wantCalls(t, there, 1)
		})
	})
}

// A binding may lead back to the proxy: a request goes by it twice, and is asked for
// twice (a spiral). Where that leads to where it began, it is a loop (RFC 3261 section
// 16.3). With a maddr it does; without, the Registrar has the targets of that user in
// place of it.
func TestLoopAndSpiral(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		server := interop.StartExample(t, nil, "bob", "carol", "dave", "erin")
		_, port, _ := net.SplitHostPort(server.At("udp", "127.0.0.1"))
		user := func(name string) string { return fmt.Sprintf("<sip:%s@sip.test:%s;maddr=127.0.0.1>", name, port) }
		t.Run("spiral", func(t *testing.T) {
			t.Parallel()
			registered(t, server, "bob", user("carol"))
			carol := interop.StartSIPp(t, "uas_info", nil)
			registered(t, server, "carol", contact(carol, ""))
			wantCall(t, server, "uac_info", "bob", nil)
			wantCalls(t, carol, 1)
		})
		t.Run("loop", func(t *testing.T) {
			t.Parallel()
			registered(t, server, "dave", user("erin"))
			registered(t, server, "erin", user("dave"))
			wantCall(t, server, "uac_refused", "dave", &interop.SIPpOptions{Want: "482"})
		})
	})
}

// A callee that rings for ever is cancelled when timer C ends (RFC 3261 section
// 16.8), which the example leaves at more than three minutes.
func TestTimerC(t *testing.T) {
	interop.Need(t)
	capturing(t, func(t *testing.T) {
		bob := interop.StartSIPp(t, "uas_cancel", nil)
		uri, err := sip.ParseURI("sip:bob@" + bob.Addr)
		if err != nil {
			t.Fatal(err)
		}
		p := newProxy(t, &proxy.Config{
			Transaction: &transaction.Config{Timers: transaction.Timers{C: 2 * time.Second}},
			Handler:     func(tx *proxy.Server, req *sip.Request) { tx.Forward(req, proxy.Target{URI: uri}) },
		})
		caller := interop.StartSIPp(t, "uac_refused", &interop.SIPpOptions{Target: p, User: "bob", Want: "408"})
		wantCalls(t, caller, 1)
		wantCalls(t, bob, 1)
	})
}

// newProxy runs a proxy on UDP and TCP at a port of 127.0.0.1, and returns its
// address.
func newProxy(t *testing.T, cfg *proxy.Config) string {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", interop.Port(t))
	p, err := proxy.Listen(&transport.Config{Listen: []string{"udp:" + addr, "tcp:" + addr}}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return addr
}

// registered registers contacts of a user with our example server.
func registered(t *testing.T, server *interop.Example, user string, contacts ...string) {
	t.Helper()
	resp := interop.Register(t, "127.0.0.1:0", server.At("udp", "127.0.0.1"), user, contacts...)
	if resp.Status() != sip.StatusOK {
		t.Fatalf("register %s: %v\n%s", user, resp.Status(), resp)
	}
}

// contact returns a script as a Contact. An empty q is none.
func contact(script *interop.SIPp, q string) string {
	if q != "" {
		q = ";q=" + q
	}
	return "<sip:sipp@" + script.Addr + ">" + q
}

// unasked returns a Contact that the test sees nothing sent to.
func unasked(t *testing.T) string {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		defer conn.Close()
		buf := make([]byte, 65536)
		conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond)) // what has come is there
		if n, _, err := conn.ReadFrom(buf); err == nil {
			t.Errorf("somebody was asked who should not have been:\n%s", buf[:n])
		}
	})
	return "<sip:nobody@" + conn.LocalAddr().String() + ">"
}

// wantCall plays a caller's script through our example server.
func wantCall(t *testing.T, server *interop.Example, script, user string, opts *interop.SIPpOptions) {
	t.Helper()
	if opts == nil {
		opts = &interop.SIPpOptions{}
	}
	opts.Target, opts.User, opts.Domain = server.At("udp", "127.0.0.1"), user, "sip.test"
	wantCalls(t, interop.StartSIPp(t, script, opts), 1)
}
