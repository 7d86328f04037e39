package interop_test

import (
	"context"
	"crypto/tls"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/ua"
)

// A kept is an agent that has registered and then says nothing more by itself.
type kept struct {
	user  string
	seen  flows
	texts chan string
}

func keep(t *testing.T, server *interop.Kamailio, via string, keys *os.File) *kept {
	t.Helper()
	k := &kept{user: "keep-" + via, texts: make(chan string, 1)}
	register(t, server, via, "127.0.0.1", k.user, &ua.Config{
		TLS:   &tls.Config{RootCAs: server.Authority.Pool(), KeyLogWriter: keys},
		Trace: k.seen.trace(),
		OnMessage: func(_ context.Context, m ua.Message) error {
			k.texts <- m.Body
			return nil
		},
	})
	return k
}

// isReached has somebody else send a message, and finds that it comes by the
// only flow there has been, and that the agent has registered once.
func (k *kept) isReached(t *testing.T, registrar *interop.Kamailio) {
	t.Helper()
	wantCalls(t, interop.StartSIPp(t, "uac_message", &interop.SIPpOptions{Target: registrar.Addr, User: k.user}), 1)
	if got := <-k.texts; got != "hello" {
		t.Errorf("message %q, want hello", got)
	}
	if got := k.seen.all(); len(got) != 1 {
		t.Errorf("%s: flows %q, want one", k.user, got)
	}
	if n := k.seen.count(func(text string) bool { return strings.HasPrefix(text, "REGISTER ") }); n != 2 {
		t.Errorf("%s: %d REGISTERs, want the first and that with the password", k.user, n)
	}
}

// The registrar wants to hear something every 4 seconds (Flow-Timer, RFC 5626
// section 4.4). For three times that long nothing else is said, and every flow
// is still there: the edge has answered our pings.
//
// Another one has no such wish, and pings a WebSocket itself after 5 seconds of
// silence.
func TestKeepAlives(t *testing.T) {
	interop.Need(t)
	const timer = 4 * time.Second
	hurried := interop.StartKamailio(t, &interop.KamailioOptions{FlowTimer: timer})
	edge := interop.StartEdge(t, hurried.Addr, nil)
	calm := interop.StartKamailio(t, nil)
	keys := newKeyLog(t)
	capture := interop.StartCapture(t)
	var pinging, pinged []*kept
	for _, via := range []string{"udp", "tcp", "tls", "ws", "wss"} {
		k := keep(t, edge, via, keys)
		if !k.seen.response(sip.REGISTER, "\r\nFlow-Timer: 4\r\n") {
			t.Errorf("%s: no Flow-Timer", k.user)
		}
		pinging = append(pinging, k)
	}
	for _, via := range []string{"ws", "wss"} {
		pinged = append(pinged, keep(t, calm, via, keys))
	}
	<-time.After(3 * timer)
	for _, k := range pinging {
		k.isReached(t, hurried)
	}
	for _, k := range pinged {
		k.isReached(t, calm)
	}
	v := judge(t, capture, secured(keys, hurried, edge, calm))
	if v.STUN < 2*3 {
		t.Errorf("%d packets of STUN, want 3 questions and answers or more", v.STUN)
	}
	if v.Pings < 3 || v.Pongs < 3 {
		t.Errorf("over TCP %d pings and %d pongs, want 3 of each or more", v.Pings, v.Pongs)
	}
	if v.Frames["ping"] < 2*2 || v.Frames["pong"] < v.Frames["ping"] {
		t.Errorf("frames of WebSocket %v, want 4 pings or more, and as many pongs", v.Frames)
	}
}
