package transaction

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// A phone is a peer without a stack: alice of bob, or bob of alice.
type phone struct {
	t    *testing.T
	conn net.PacketConn
	to   net.Addr
	buf  []byte
}

func newPhone(t *testing.T, n *siptest.Network, addr string) *phone {
	conn, err := n.Host(addr).ListenPacket(t.Context(), "udp", addr+":5060")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	to := aliceAddr
	if addr == aliceAddr {
		to = bobAddr
	}
	return &phone{t, conn, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to + ":5060")), make([]byte, 65536)}
}

func (p *phone) send(text string) {
	p.t.Helper()
	if _, err := p.conn.WriteTo([]byte(text), p.to); err != nil {
		p.t.Fatal(err)
	}
}

// receive returns the next message whose first line has a word in it.
func (p *phone) receive(word string) string {
	p.t.Helper()
	for {
		p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		n, _, err := p.conn.ReadFrom(p.buf)
		if err != nil {
			p.t.Fatal(err)
		}
		if first, _, _ := strings.Cut(string(p.buf[:n]), "\r\n"); strings.Contains(first, word) {
			return string(p.buf[:n])
		}
	}
}

// aRequest is the text of a request with a number.
func aRequest(method sip.Method, i int) string {
	return fmt.Sprintf("%s %s SIP/2.0\r\nVia: SIP/2.0/UDP "+aliceAddr+":5060;branch=z9hG4bK%018d\r\nMax-Forwards: 70\r\n"+
		"From: \"Alice\" <sip:alice@example.com>;tag=%d\r\nTo: <%s>\r\nCall-ID: %018d@example.com\r\nCSeq: 1 %s\r\n"+
		"Contact: <sip:alice@"+aliceAddr+">\r\nContent-Length: 0\r\n\r\n", method, bobURI, i, i, bobURI, i, method)
}

// What a server transaction takes beyond the text of its request and of the
// response that it keeps, in each state that lasts, and that it has no goroutine
// once its handler has returned.
func TestLiveServers(t *testing.T) {
	const n = 5000
	for _, test := range []struct {
		state   string
		method  sip.Method
		status  sip.Status
		kept    bool // the response, for retransmissions
		running bool // the handler
		held    bool // when that has returned, by Hold
		limit   int
	}{
		{"INVITE in Proceeding", sip.INVITE, sip.StatusRinging, true, true, false, 1700},       // what the runtime has for the goroutine included
		{"INVITE in Proceeding, held", sip.INVITE, sip.StatusRinging, true, false, true, 1300}, // the context, and what ends it, included,
		{"INVITE in Completed", sip.INVITE, sip.StatusBusyHere, true, false, false, 1024},
		{"INVITE in Accepted", sip.INVITE, sip.StatusOK, false, false, false, 1024},
		{"OPTIONS in Completed", sip.OPTIONS, sip.StatusOK, true, false, false, 1024},
	} {
		t.Run(test.state, func(t *testing.T) {
			network := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 16})
			release := make(chan struct{})
			defer close(release)
			releases := make([]func(), 0, 2*n) // one handler runs at a time
			defer func() {
				for _, release := range releases {
					release()
				}
			}()
			l := patient(t, network, bobAddr, &Config{Handler: func(tx *Server, req *sip.Request) {
				if test.held {
					_, release := tx.Hold()
					releases = append(releases, release)
				}
				tx.Reply(test.status)
				if test.running {
					<-release
				}
			}})
			alice := newPhone(t, network, aliceAddr)
			place := func(from, to int) (text int) {
				for i := from; i < to; i++ {
					request := aRequest(test.method, i)
					alice.send(request)
					text += len(request)
					if response := alice.receive(fmt.Sprint(int(test.status))); test.kept {
						text += len(response)
					}
				}
				return text
			}
			measure(t, l, n, test.limit, place, test.running)
		})
	}
}

// The same of a client transaction that has its final response. It lets go of
// what it does not need any more: of all text but an INVITE as it was given.
func TestLiveClients(t *testing.T) {
	const n, limit = 5000, 1024
	for _, test := range []struct {
		state  string
		method sip.Method
	}{
		{"INVITE in Accepted", sip.INVITE},
		{"OPTIONS in Completed", sip.OPTIONS},
	} {
		t.Run(test.state, func(t *testing.T) {
			network := siptest.NewNetwork(&siptest.NetworkConfig{Queue: 16})
			l := patient(t, network, aliceAddr, nil)
			bob := newPhone(t, network, bobAddr)
			place := func(from, to int) (text int) {
				for i := from; i < to; i++ {
					m, err := sip.Parse(aRequest(test.method, i))
					if err != nil {
						t.Fatal(err)
					}
					answered := make(chan error, 1)
					go func() { // ends with the response
						_, err := l.Do(t.Context(), m.(*sip.Request).With(sip.Pop("Via")))
						answered <- err
					}()
					got := bob.receive(string(test.method))
					text += len(got)
					out, err := sip.Parse(got)
					if err != nil {
						t.Fatal(err)
					}
					bob.send(out.(*sip.Request).Reply(sip.StatusOK).String())
					if err := <-answered; err != nil {
						t.Fatal(err)
					}
				}
				return text
			}
			measure(t, l, n, limit, place, false)
		})
	}
}

// patient makes a layer in real time whose timers do not run out.
func patient(t *testing.T, network *siptest.Network, addr string, cfg *Config) *Layer {
	t.Helper()
	if cfg == nil {
		cfg = &Config{}
	}
	cfg.Timers = Timers{T1: time.Minute, T4: time.Minute}
	l, err := Listen(&transport.Config{Listen: []string{"udp:" + addr + ":5060"}, Network: network.Host(addr), MaxRate: -1}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// measure places transactions, which says how much text they have, and compares
// what there is before and after.
func measure(t *testing.T, l *Layer, n, limit int, place func(from, to int) int, running bool) {
	t.Helper()
	place(0, 500) // what is made once is
	before, goroutines := inUse()
	text := place(500, 500+n)
	if !running {
		until(t, l, func(n tally) bool { return n.open == 0 })
	}
	after, now := inUse()
	each := (after - before - text) / n
	t.Logf("%d bytes beyond %d of text", each, text/n)
	if each > limit {
		t.Errorf("a transaction takes %d bytes beyond its text, want %d at most", each, limit)
	}
	want := 16 // handlers on their way out
	if running {
		want += n
	}
	if got := now - goroutines; got > want {
		t.Errorf("%d more goroutines for %d transactions, want %d at most", got, n, want)
	}
}
