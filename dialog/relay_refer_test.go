package dialog_test

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Alice asks Bob to call Carol, through a bridge that has sent requests of its own to Bob,
// and has to show a password: her REFER has another number there. The events of it have
// the number that each of them knows it by (RFC 3515 section 2.4.6), also when the bridge
// is started anew.
func TestRelayREFER(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridgeWith(t, n, &password{tries: 1})
		invite, answer := bridged(t, alice, bob)
		for leg := range bridge.Dialogs() {
			if leg.Target().Host == bobAddr {
				done := make(chan struct{})
				go func() { // ends with the answer
					leg.Do(t.Context(), sip.OPTIONS)
					close(done)
				}()
				bob.reply(bob.expect("OPTIONS 2"), sip.StatusOK)
				<-done
			}
		}
		alice.send(carolAddr, alice.within(answer, sip.REFER, 2, referTo("sip:carol@c.example"), alice.contact()))
		bob.reply(bob.expect("REFER 3"), sip.StatusProxyAuthRequired, challenge("one"))
		refer := bob.expect("REFER 4")
		bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.NOTIFY, 1, event("refer;id=4"), state("active"), bob.contact()))
		notify := alice.expect("NOTIFY 1") // before the answer to the REFER
		wantEvent(t, notify.Message, "refer;id=2")
		alice.reply(notify, sip.StatusOK)
		bob.expect("200 NOTIFY 1")
		bob.reply(refer, sip.StatusAccepted, bob.contact())
		alice.expect("202 REFER 2")

		kept := keep(t, bridge)
		bridge = newBridge(t, n)
		restorePair(t, bridge, kept)
		alice.send(carolAddr, alice.within(answer, sip.SUBSCRIBE, 3, event("refer;id=2"), sip.Expires(60), alice.contact()))
		subscribe := bob.expect("SUBSCRIBE 5")
		wantEvent(t, subscribe.Message, "refer;id=4")
		bob.reply(subscribe, sip.StatusOK, sip.Expires(60), bob.contact())
		alice.expect("200 SUBSCRIBE 3")
		for i, said := range []string{"refer", "refer;id=4;x"} {
			seq := uint32(2 + i)
			bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.NOTIFY, seq, event(said), state("active"), bob.contact()))
			notify = alice.expect(summaryOf(sip.NOTIFY, 2+i))
			wantEvent(t, notify.Message, []string{"refer", "refer;id=2;x"}[i])
			alice.reply(notify, sip.StatusOK)
			bob.expect("200 " + summaryOf(sip.NOTIFY, 2+i))
		}
		bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.NOTIFY, 4, event("refer;id=2"), state("active"), bob.contact()))
		bob.expect("481 NOTIFY 4") // it is ours
		bridge.Close()
	})
}

func wantEvent(t *testing.T, m sip.Message, want string) {
	t.Helper()
	if got, _ := m.Value("Event"); got != want {
		t.Errorf("the Event of %s is %q, want %q", summary(m), got, want)
	}
}

// Bob says that his transfer lasts for 136 years, to the bridge and so to Alice, and both
// hang up. The bridge keeps their dialogs for an hour, as that of its own REFER.
func TestRelayREFERForEver(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		bridge := newBridge(t, n)
		referred(t, alice, bob, "active;expires=4294967295")
		time.Sleep(50 * time.Minute)
		if dialogs, _ := bridge.Left(); dialogs != 2 {
			t.Errorf("%d dialogs are there within the hour, want 2", dialogs)
		}
		time.Sleep(15 * time.Minute)
		wantEmpty(t, bridge)
	})
}

// Alice does not know the transfer any more. Then it is over on both legs, and the
// dialogs, whose call is over, go with it.
func TestRelayREFERIsOverOnBothLegs(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		story(t, func(t *testing.T, n *siptest.Network) {
			alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
			bridge := newBridge(t, n)
			invite := referred(t, alice, bob, "active;expires=600")
			if restarted {
				kept := keep(t, bridge)
				bridge = newBridge(t, n)
				restorePair(t, bridge, kept)
			}
			bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.NOTIFY, 2, event("refer"), state("active"), bob.contact()))
			alice.reply(alice.expect("NOTIFY 2"), sip.StatusCallDoesNotExist)
			bob.expect("481 NOTIFY 2")
			time.Sleep(time.Minute)
			wantEmpty(t, bridge)
		})
	}
}

// referred has Alice call Bob and ask him to call Carol, of which he says that it lasts
// for so long. Then she hangs up.
func referred(t *testing.T, alice, bob *peer, said string) (invite sip.Message) {
	t.Helper()
	invite, answer := bridged(t, alice, bob)
	alice.send(carolAddr, alice.within(answer, sip.REFER, 2, referTo("sip:carol@c.example"), alice.contact()))
	bob.reply(bob.expect("REFER 2"), sip.StatusAccepted, bob.contact())
	alice.expect("202 REFER 2")
	bob.send(carolAddr, bob.back(invite, tagged(invite, "b"), sip.NOTIFY, 1, event("refer"), state(said), bob.contact()))
	alice.reply(alice.expect("NOTIFY 1"), sip.StatusOK)
	bob.expect("200 NOTIFY 1")
	alice.send(carolAddr, alice.within(answer, sip.BYE, 3))
	alice.expect("200 BYE 3")
	bob.reply(bob.expect("BYE 3"), sip.StatusOK)
	return invite
}

// Neither side has a tag, as those of RFC 2543: where one of them names the call, a "0"
// stands for that, here and there (RFC 3891 section 6.1, RFC 3911 section 7.1).
func TestRelayNamesPeersWithoutTags(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice, bob := newPeer(t, n, aliceAddr), newPeer(t, n, bobAddr)
		newBridge(t, n)
		alice.send(carolAddr, newInvite(t, "sip:bob@"+carolAddr, "1", alice.contact(), sip.From{URI: sip.URI{Scheme: "sip", Host: "a.example"}}))
		in := bob.expect("INVITE 1")
		bob.reply(in, sip.StatusOK, bob.contact(), in.Message.To())
		answer := alice.expect("200 INVITE 1").Message
		alice.send(carolAddr, alice.within(answer, sip.ACK, 1))
		bob.expect("ACK 1")

		ours := answer.To().Tag()
		named := sip.Replaces{CallID: "1", ToTag: ours, FromTag: "0"}
		to := sip.URI{Scheme: "sip", Host: "a.example"}.WithHeader("Replaces", string(named.AppendValue(nil)))
		alice.send(carolAddr, alice.within(answer, sip.REFER, 2, alice.contact(), sip.ReferTo{URI: to}, named,
			sip.Join{CallID: "1", ToTag: ours, FromTag: "0"}, sip.TargetDialog{CallID: "1", LocalTag: ours, RemoteTag: "0"}))
		got := bob.expect("REFER 2").Message
		const theirs = "other;to-tag=0;from-tag=alice-other"
		for name, want := range map[string]string{
			"Replaces": theirs, "Join": theirs, "Target-Dialog": "other;local-tag=0;remote-tag=alice-other",
			"Refer-To": "<sip:a.example?Replaces=other%3Bto-tag%3D0%3Bfrom-tag%3Dalice-other>",
		} {
			if value, _ := got.Value(name); value != want {
				t.Errorf("%s is %s, want %s", name, value, want)
			}
		}
	})
}
