package keepalive_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/media"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// The NAT forgets a UDP flow after 30 seconds of silence. Agents behind it that
// have registered, with the registrar or by way of the edge proxy, are called
// from outside one, two and three minutes later, and answer. One that has
// registered and keeps nothing alive is not there any more after a minute: it
// is not the NAT that has let the others be reached.
func TestRegistrationStaysReachable(t *testing.T) {
	interop.Need(t)
	t.Parallel()
	nat := interop.StartNAT(t, 30*time.Second)
	registrar := interop.StartKamailio(t, &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}})
	edge := interop.StartEdge(t, registrar.Addr, &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}})
	users := map[string]*interop.Kamailio{"alice": registrar, "bob": edge}
	for user, server := range users {
		agent := newAgent(t, nat, user, server.URI("udp", nat.OutsideAddr), nat.Inside)
		if _, err := agent.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if got := registrar.Bindings(t, user); len(got) != 1 || got[0].RegID != 1 {
			t.Fatalf("bindings %+v, want one with reg-id 1", got)
		}
	}
	registerOnce(t, nat, "carol", registrar)
	reached := func(user string) bool {
		scenario := "uac"
		if user == "carol" {
			scenario = "uac_message"
		}
		script := interop.StartSIPp(t, scenario, &interop.SIPpOptions{
			Target: registrar.Addr, User: user, In: nat.Outside, Host: nat.OutsideAddr, Hold: 200 * time.Millisecond, Timeout: 10 * time.Second,
		})
		got := script.Wait(t)
		return got.Successful == 1 && got.Failed == 0
	}
	for _, user := range []string{"alice", "bob", "carol"} {
		if !reached(user) {
			t.Fatalf("%s is not reached at once", user)
		}
	}
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for i := range 3 {
		<-minute.C
		for user := range users {
			if !reached(user) {
				t.Errorf("%s is not reached after %d minutes", user, i+1)
			}
		}
		if i == 0 && reached("carol") {
			t.Error("carol is reached after a minute of silence")
		}
	}
}

// An agent behind the NAT calls, and the other side hangs up: its BYE comes by
// the flow that the call was placed on, past a Contact that leads nowhere. The
// edge knows the flow by the ob that the agent puts there (RFC 5626 section 4.3).
func TestCallFromBehindNAT(t *testing.T) {
	interop.Need(t)
	t.Parallel()
	nat := interop.StartNAT(t, 30*time.Second)
	outside := &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}}
	registrar := interop.StartKamailio(t, outside)
	edge := interop.StartEdge(t, registrar.Addr, outside)
	callee, err := ua.New("sip:callee@192.0.2.2", &ua.Config{
		Listen: []string{"udp:" + nat.OutsideAddr + ":5060"}, Network: nat.Outside,
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, audio(nat.Outside, nat.OutsideAddr))
			if err == nil {
				err = call.Hangup(ctx)
			}
			if err != nil {
				t.Error(err)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { callee.Close() })
	for user, server := range map[string]*interop.Kamailio{"alice": registrar, "bob": edge} {
		agent := newAgent(t, nat, user, server.URI("udp", nat.OutsideAddr), nat.Inside)
		if _, err := agent.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		call, err := agent.Invite(t.Context(), "sip:callee@"+nat.OutsideAddr, &ua.InviteOptions{Streams: []ua.Stream{audio(nat.Inside, nat.InsideAddr)}})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-call.Done():
			if !errors.Is(call.Err(), ua.ErrHungUp) {
				t.Errorf("%s: the call ended with %v, want ErrHungUp", user, call.Err())
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: no BYE after 10 s", user)
		}
	}
}

// A flow of TCP ends. Whoever calls gets 430 from the edge, until the agent has
// registered by another one, which it does after 30 to 60 seconds: the flow has
// not lived for long (RFC 5626 section 4.5 and appendix A). It takes the place of the
// first.
func TestFlowIsReplaced(t *testing.T) {
	interop.Need(t)
	t.Parallel()
	nat := interop.StartNAT(t, 30*time.Second)
	registrar := interop.StartKamailio(t, &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}})
	edge := interop.StartEdge(t, registrar.Addr, &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}})
	cable := &interop.Cable{Network: nat.Inside}
	agent := newAgent(t, nat, "alice", edge.URI("tcp", nat.OutsideAddr), cable)
	if _, err := agent.Register(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	first := registrar.Bindings(t, "alice")
	caller, err := ua.New("sip:caller@192.0.2.2", &ua.Config{
		Listen: []string{"udp:" + nat.OutsideAddr + ":0"}, Network: nat.Outside, Proxy: registrar.URI("udp", nat.OutsideAddr),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { caller.Close() })
	text := func() error { return caller.Message(t.Context(), "sip:alice@sip.test", "text/plain", "hello") }
	if err := text(); err != nil {
		t.Fatal(err)
	}
	cable.Cut()
	if !interop.Eventually(5*time.Second, func() bool { return errors.Is(text(), sip.StatusFlowFailed) }) {
		t.Errorf("a message without a flow: %v, want 430", text())
	}
	if !interop.Eventually(70*time.Second, func() bool { return text() == nil }) {
		t.Errorf("a message 70 s later: %v", text())
	}
	if got := registrar.Bindings(t, "alice"); len(got) != 1 || got[0].Instance != first[0].Instance || got[0].Path == first[0].Path {
		t.Errorf("bindings %+v, want one in place of %+v", got, first)
	}
}

// A STUN server outside tells an agent its public address, which stands in its
// Contact from then on.
func TestDiscoverThroughNAT(t *testing.T) {
	interop.Need(t)
	t.Parallel()
	nat := interop.StartNAT(t, 30*time.Second)
	registrar := interop.StartKamailio(t, &interop.KamailioOptions{In: nat.Outside, Hosts: []string{nat.OutsideAddr}})
	ep, err := transport.Listen(&transport.Config{Listen: []string{"udp:" + nat.InsideAddr + ":5060"}, Network: nat.Inside})
	if err != nil {
		t.Fatal(err)
	}
	defer ep.Close()
	public, err := ep.Discover(t.Context(), registrar.Addr)
	if err != nil {
		t.Fatal(err)
	}
	if public.Addr().String() != nat.PublicAddr {
		t.Errorf("Discover = %v, want one at %s", public, nat.PublicAddr)
	}

	agent, err := ua.New("sip:alice@sip.test", &ua.Config{
		Listen: []string{"udp:" + nat.InsideAddr + ":5070"}, Network: nat.Inside,
		Proxy: registrar.URI("udp", nat.OutsideAddr), Password: "alicepw", STUN: registrar.Addr,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer agent.Close()
	if _, err := agent.Register(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if got := registrar.Contacts(t, "alice"); len(got) != 1 || !strings.HasPrefix(got[0], "sip:alice@"+nat.PublicAddr) {
		t.Errorf("registered contacts %q, want one at %s", got, nat.PublicAddr)
	}
}

// newAgent makes an agent behind the NAT that takes calls and messages, and
// sends everything to a proxy.
func newAgent(t *testing.T, nat *interop.NAT, user, proxy string, network transport.Network) *ua.Agent {
	t.Helper()
	agent, err := ua.New("sip:"+user+"@sip.test", &ua.Config{
		Password: user + "pw", Proxy: proxy, Network: network,
		Listen:    []string{"udp:" + nat.InsideAddr + ":0"},
		OnMessage: func(context.Context, ua.Message) error { return nil },
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			call, err := in.Answer(ctx, audio(nat.Inside, nat.InsideAddr))
			if err != nil {
				t.Error(err)
				return
			}
			<-call.Done()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { agent.Close() })
	return agent
}

// audio makes a stream of the one host of a network.
func audio(network *interop.Namespace, host string) ua.Stream {
	return media.NewAudio(&media.AudioConfig{Network: network, Listen: netip.MustParseAddr(host)})
}

// registerOnce registers a user behind the NAT who takes messages, and does
// nothing to stay reachable.
func registerOnce(t *testing.T, nat *interop.NAT, user string, registrar *interop.Kamailio) {
	t.Helper()
	l, err := dialog.Listen(
		&transport.Config{Listen: []string{"udp:" + nat.InsideAddr + ":0"}, Network: nat.Inside},
		&dialog.Config{
			Auth:      digest.NewClient(digest.Credentials{Username: user, Password: user + "pw"}),
			OnRequest: func(tx *dialog.Server, _ *sip.Request) { tx.Reply(sip.StatusOK) },
		})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	server, err := sip.ParseURI(registrar.URI("udp", nat.OutsideAddr))
	if err != nil {
		t.Fatal(err)
	}
	aor := sip.URI{Scheme: "sip", User: user, Host: "sip.test"}
	req := sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "sip.test"},
		sip.Route{URI: server.WithParam("lr", "")}, sip.MaxForwards(70), sip.From{URI: aor, Params: ";tag=1"}, sip.To{URI: aor},
		sip.CallID(user), sip.CSeq{Seq: 1, Method: sip.REGISTER})
	contact, err := l.ContactFor(t.Context(), user, req)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := l.Do(t.Context(), req.With(contact))
	if err != nil || resp.Status() != sip.StatusOK {
		t.Fatalf("REGISTER: %v, %v", resp, err)
	}
}
