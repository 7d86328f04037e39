package relay_test

import (
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

func TestMessageBetweenTwoClientsOfOneRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.relay("relay.example.com", relay.Config{})
		alice, a := w.client("alice", "relay.example.com")
		bob, b := w.client("bob", "relay.example.com")
		alice.write(send("d93kswow", a+" "+b+" "+bob.ours, alice.ours, "Success-Report: yes\nByte-Range: 1-5/5\n", "hello"))
		alice.response("d93kswow", frame.StatusOK)
		g := bob.read()
		if g.To != bob.ours || g.From != b+" "+a+" "+alice.ours || g.body != "hello" || g.flag != frame.Complete || !g.SuccessReport {
			t.Errorf("bob got %+v", g)
		}
		bob.answer(g, frame.StatusOK)
		alice.silent()
	})
}
