package transaction

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// Each request has the offer if that is asked for, and no request has that of
// somebody else (RFC 7339 sections 4.1 and 5.6). What a server behind a proxy puts
// into the Via of the client before it does not get there (section 11).
func TestOverloadHopByHop(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			var offers []bool
			for via := range sip.All[sip.Via](req) {
				offers = append(offers, via.Params.Has("oc"))
			}
			if want := "[true false]"; fmt.Sprint(offers) != want {
				t.Errorf("Vias with an offer: %v, want %s", offers, want)
			}
			// Hostile: every Via but its own.
			resp := req.Reply(sip.StatusOK)
			top, behind := resp.Via(), resp.With(sip.Pop("Via")).Via()
			bad := behind.WithOverloadControl(sip.OverloadControl{OC: 100, Algo: "loss", Validity: time.Hour, Seq: 1e16})
			tx.Respond(resp.With(sip.Pop("Via"), sip.Pop("Via"), sip.Push(bad), sip.Push(top)))
		}})
		var proxy *Layer
		proxy = listen(t, n.Host(carolAddr), &Config{Overload: &Overload{Offer: true}, Handler: func(tx *Server, req *sip.Request) {
			resp, err := proxy.Do(WithNextHop(tx.Context(), request(sip.OPTIONS, bobURI).URI()), req)
			if err != nil {
				t.Error(err)
				return
			}
			tx.Respond(resp.With(sip.Pop("Via")))
		}})
		for _, overload := range []*Overload{nil, {Offer: true}} {
			host := aliceAddr
			if overload != nil {
				host = "192.0.2.4"
			}
			alice := listen(t, n.Host(host), &Config{Overload: overload})
			resp, err := alice.Do(t.Context(), request(sip.OPTIONS, "sip:bob@"+carolAddr, sip.CallID(host)))
			if err != nil {
				t.Fatal(err)
			}
			oc, ok := resp.Via().OverloadControl()
			if ok != (overload != nil) || oc.OC != 0 || oc.Validity != 0 {
				t.Errorf("the client is told %+v, %v", oc, ok)
			}
		}
	})
}

// A server that says so, twice, is sent nothing, which costs no time: the next one
// gets it, or there is an error. An answer from elsewhere says nothing about it.
func TestHeldBack(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := listen(t, n.Host(aliceAddr), &Config{Overload: &Overload{Offer: true}})
		alice.overload.targets.rand = func() float64 { return 0.5 } // of a second, that the bucket is off by
		bob := bobPeer(t, n)
		seq := uint64(5)
		ask := func() { // bob says that he wants nothing for two seconds
			r := bob.request(sip.OPTIONS)
			resp := r.Reply(sip.StatusOK)
			seq++
			bob.send(resp.With(replaced(resp.Via().WithOverloadControl(
				sip.OverloadControl{OC: 100, Algo: "loss", Validity: 2 * time.Second, Seq: seq}))...))
		}
		for range 2 {
			go ask()
			expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		}
		start := time.Now()
		got, err := collect(t.Context(), alice, request(sip.OPTIONS, bobURI))
		if got != "error" || !errors.Is(err, ErrOverload) || time.Since(start) != 0 {
			t.Errorf("%s, %v after %v, want ErrOverload at once", got, err, time.Since(start))
		}
		if _, _, err := alice.Send(t.Context(), request(sip.OPTIONS, bobURI)); !errors.Is(err, ErrOverload) {
			t.Errorf("Send: %v, want ErrOverload", err)
		}
		if _, _, err := alice.Send(t.Context(), request(sip.ACK, bobURI)); err != nil {
			t.Errorf("Send of an ACK: %v", err)
		}
		bob.request(sip.ACK)
		pass(2 * time.Second)
		go ask()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")

		// Somebody else has seen the branch: he says nothing about bob.
		pass(2 * time.Second)
		mallory := newPeer(t, n.Host("192.0.2.66"), aliceAddr)
		go func() {
			resp := bob.request(sip.OPTIONS).Reply(sip.StatusOK)
			mallory.send(resp.With(replaced(resp.Via().WithOverloadControl(
				sip.OverloadControl{OC: 100, Algo: "loss", Validity: time.Minute, Seq: 9}))...))
		}()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
		go ask()
		expect(t, alice, request(sip.OPTIONS, bobURI), "200")
	})
}

// A gateway that knows nothing of overload control passes on our Via as it gets it
// from behind. Mallory, whom alice's users call now and then, writes into it that
// nothing is to be sent: in one answer, in each of a hundred provisional ones, and
// in those to many calls at once. Bob, behind the same gateway, is called all the
// same, and calls for help get through in any case.
func TestSomebodyBehindAGateway(t *testing.T) {
	for _, control := range []sip.OverloadControl{
		{OC: 0, Algo: "rate", Validity: time.Minute, Seq: 1e16},
		{OC: 100, Algo: "loss", Validity: time.Minute, Seq: 1e16},
	} {
		story(t, func(t *testing.T, n *siptest.Network) {
			gateway := bobPeer(t, n)
			forged := func(r *sip.Request, status sip.Status) sip.Message {
				resp := r.Reply(status)
				return resp.With(replaced(resp.Via().WithOverloadControl(control))...)
			}
			go func() { // ends with the socket
				var ringing []*sip.Request
				for {
					m := gateway.within(time.Hour)
					r, ok := m.(*sip.Request)
					switch {
					case m == nil:
						return
					case !ok:
					case r.URI().User == "bob":
						gateway.send(r.Reply(sip.StatusOK))
					case r.Method() == sip.OPTIONS:
						gateway.send(forged(r, sip.StatusOK))
					case r.Method() == sip.INVITE:
						for range 100 {
							gateway.send(forged(r, sip.StatusRinging))
						}
						if ringing = append(ringing, r); len(ringing) == 5 {
							for _, r := range ringing {
								gateway.send(forged(r, sip.StatusBusyHere))
							}
							ringing = nil
						}
					}
				}
			}()
			alice := listen(t, n.Host(aliceAddr), &Config{Overload: &Overload{Offer: true}})
			var c endings
			call := func(name, uri string, edits ...sip.Edit) {
				method := sip.OPTIONS
				if name == "calls" {
					method = sip.INVITE
				}
				resp, err := alice.Do(t.Context(), request(method, uri, append(edits, sip.CallID(fmt.Sprint(name, time.Now().UnixNano())))...))
				switch {
				case err != nil:
					c.add(name + " " + err.Error())
				default:
					c.add(fmt.Sprint(name, " ", int(resp.Status())))
				}
			}
			for i := range 600 {
				if i%5 == 0 {
					go call("mallory", "sip:mallory@"+bobAddr)
				}
				if i%60 == 30 {
					for range 5 {
						go call("calls", "sip:mallory@"+bobAddr)
						pass(time.Millisecond)
					}
				}
				if i%100 == 31 {
					go call("help", "sip:bob@"+bobAddr, sip.ResourcePriority{"esnet.0"})
				}
				call("bob", "sip:bob@"+bobAddr)
				pass(500 * time.Millisecond)
			}
			got := c.take()
			t.Logf("%+v: %v", control, got)
			if got["bob 200"] < 580 || got["help 200"] != 6 {
				t.Errorf("%v: want nearly all 600 to bob answered, and the 6 for help", got)
			}
			pass(time.Minute)
		})
	}
}
