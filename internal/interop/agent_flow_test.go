package interop_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/internal/interop"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/ua"
)

// An agent registers over every transport, on IPv4 and IPv6, with the registrar
// and by way of the edge proxy. The registrar does outbound. A message and a
// call from somebody else come by the flow of the registration; a call of the
// agent's, which the other side ends, leaves by it. In all of that the agent
// uses no other. It has no listener that anybody could connect to.
func TestFlows(t *testing.T) {
	interop.Need(t)
	authority := siptest.NewAuthority()
	registrar := interop.StartKamailio(t, &interop.KamailioOptions{Authority: authority})
	edge := interop.StartEdge(t, registrar.Addr, &interop.KamailioOptions{Authority: authority})
	keys := newKeyLog(t)
	capture := interop.StartCapture(t)
	t.Run("ways", func(t *testing.T) {
		for _, host := range []string{"127.0.0.1", "::1"} {
			register(t, registrar, "udp", host, fmt.Sprintf("echo-%d", len(host)), &ua.Config{OnInvite: func(ctx context.Context, in *ua.Invitation) {
				audio, _ := newAudio(440)
				call, err := in.Answer(ctx, audio)
				if err != nil {
					t.Error(err)
					return
				}
				if err := call.Hangup(ctx); err != nil {
					t.Error(err)
				}
			}})
		}
		for name, server := range map[string]*interop.Kamailio{"registrar": registrar, "edge": edge} {
			for _, host := range []string{"127.0.0.1", "::1"} {
				for _, transport := range []string{"udp", "tcp", "tls", "ws", "wss"} {
					t.Run(name+" "+transport+" "+host, func(t *testing.T) {
						t.Parallel()
						user := fmt.Sprintf("%s-%s-%d", name, transport, len(host))
						useFlow(t, registrar, server, transport, host, user, keys)
					})
				}
			}
		}
	})
	v := judge(t, capture, secured(keys, registrar, edge))
	// REGISTER 401 REGISTER 200 twice, MESSAGE 200, INVITE 180 200 ACK BYE 200,
	// INVITE 407 ACK INVITE 200 ACK BYE 200 are 24; a packet may hold two.
	if v.SIP < 20*20 || v.WebSocket < 8*20 || v.TLS < 8*20 {
		t.Errorf("in the capture %v, want 20 for each of 20 ways", v)
	}
}

// secured says where in a capture there is TLS, and has its keys.
func secured(keys *os.File, servers ...*interop.Kamailio) *interop.JudgeOptions {
	opts := &interop.JudgeOptions{KeyLog: []string{keys.Name()}}
	for _, server := range servers {
		for _, host := range []string{"127.0.0.1", "::1"} {
			opts.TLS = append(opts.TLS, server.At("tls", host))
			opts.WSS = append(opts.WSS, server.At("wss", host))
		}
	}
	return opts
}

func useFlow(t *testing.T, registrar, server *interop.Kamailio, transport, host, user string, keys *os.File) {
	var seen flows
	texts := make(chan string, 1)
	ended := make(chan error, 1)
	agent := newClient(t, server, transport, host, user, &ua.Config{
		TLS:   &tls.Config{RootCAs: server.Authority.Pool(), KeyLogWriter: keys},
		Trace: seen.trace(),
		OnMessage: func(_ context.Context, m ua.Message) error {
			texts <- m.Body
			return nil
		},
		OnInvite: func(ctx context.Context, in *ua.Invitation) {
			audio, _ := newAudio(440)
			call, err := in.Answer(ctx, audio) // at once: a Kamailio may have a 180 overtaken
			if err == nil {
				<-call.Done()
			}
			ended <- err
		},
	})
	reg, err := agent.Register(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	got := registrar.Bindings(t, user)
	if len(got) != 1 || got[0].RegID != 1 || !strings.HasPrefix(got[0].Instance, "<urn:uuid:") {
		t.Fatalf("bindings %+v, want one with an instance and reg-id 1", got)
	}
	if server != registrar && !strings.Contains(got[0].Path, ";ob") {
		t.Errorf("Path %q, want one with a flow token", got[0].Path)
	}
	if !seen.response(sip.REGISTER, "\r\nRequire: outbound\r\n") {
		t.Error("the registrar does not do outbound")
	}

	message := interop.StartSIPp(t, "uac_message", &interop.SIPpOptions{Target: registrar.Addr, User: user})
	wantCalls(t, message, 1)
	if got := <-texts; got != "hello" {
		t.Errorf("message %q, want hello", got)
	}
	call := interop.StartSIPp(t, "uac", &interop.SIPpOptions{Target: registrar.At("udp", host), Host: host, User: user, Hold: 200 * time.Millisecond})
	wantCalls(t, call, 1)
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Error("SIPp's call is not over after 10 s")
	}
	audio, _ := newAudio(440)
	out, err := agent.Invite(t.Context(), fmt.Sprintf("sip:echo-%d@sip.test", len(host)), &ua.InviteOptions{Streams: []ua.Stream{audio}})
	if err != nil {
		t.Error(err)
	} else {
		hungUp(t, out)
	}

	if err := reg.Close(); err != nil {
		t.Error(err)
	}
	if got := registrar.Bindings(t, user); len(got) != 0 {
		t.Errorf("bindings after Close %+v, want none", got)
	}
	if got := seen.all(); len(got) != 1 || !strings.HasSuffix(got[0], " "+server.At(transport, host)) {
		t.Errorf("flows %q, want one to %s", got, server.At(transport, host))
	}
}

// hungUp waits for the other side to end a call.
func hungUp(t *testing.T, call *ua.Call) {
	t.Helper()
	select {
	case <-call.Done():
		wantError(t, call.Err(), ua.ErrHungUp)
	case <-time.After(10 * time.Second):
		t.Error("no BYE after 10 s")
	}
}

// newClient makes an agent of sip.test that listens for nothing but datagrams,
// and sends everything to one address of a server, which its DNS calls sip.test.
func newClient(t *testing.T, server *interop.Kamailio, transport, host, user string, cfg *ua.Config) *ua.Agent {
	t.Helper()
	_, port, err := net.SplitHostPort(server.At(transport, host))
	if err != nil {
		t.Fatal(err)
	}
	cfg.Listen = []string{"udp:" + net.JoinHostPort(host, "0")}
	cfg.Proxy = "sip:sip.test:" + port + ";transport=" + transport
	cfg.Resolver = sipTestAt(netip.MustParseAddr(host))
	cfg.Password = user + "pw"
	return newAgent(t, "sip:"+user+"@sip.test", cfg)
}

// register makes such an agent and registers it.
func register(t *testing.T, server *interop.Kamailio, transport, host, user string, cfg *ua.Config) *ua.Agent {
	t.Helper()
	agent := newClient(t, server, transport, host, user, cfg)
	if _, err := agent.Register(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return agent
}

// sipTestAt is a DNS in which there is sip.test alone, with one address.
type sipTestAt netip.Addr

func (at sipTestAt) Lookup(_ context.Context, name string, t resolve.Type) (*resolve.Answer, error) {
	addr, answer := netip.Addr(at), &resolve.Answer{}
	if name == "sip.test" && (t == resolve.TypeA && addr.Is4() || t == resolve.TypeAAAA && addr.Is6()) {
		answer.Addrs = []netip.Addr{addr}
	}
	return answer, nil
}

// newKeyLog makes a file for the secrets of TLS connections.
func newKeyLog(t *testing.T) *os.File {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// flows notes what an agent sends and gets, and by which flows.
type flows struct {
	mu       sync.Mutex
	used     []string
	messages []transport.TraceMessage
}

func (f *flows) trace() *transport.Trace {
	return &transport.Trace{Sent: f.note, Received: f.note, Malformed: f.note}
}

func (f *flows) note(m transport.TraceMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = append(f.messages, m)
	if flow := fmt.Sprint(m.Transport, " ", m.Local, " to ", m.Remote); !slices.Contains(f.used, flow) {
		f.used = append(f.used, flow)
	}
}

// all returns the flows.
func (f *flows) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.used)
}

// response reports whether there was a response to a method that has a text in
// it.
func (f *flows) response(method sip.Method, text string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.ContainsFunc(f.messages, func(m transport.TraceMessage) bool {
		resp, ok := m.Message.(*sip.Response)
		return ok && resp.CSeq().Method == method && strings.Contains(m.Text, text)
	})
}

// count returns how many messages have a text like that.
func (f *flows) count(like func(text string) bool) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.messages {
		if like(m.Text) {
			n++
		}
	}
	return n
}
