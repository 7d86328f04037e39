package ua_test

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

const registrarAddr = "192.0.2.100"

// newRegistrar makes a registrar that grants every REGISTER what it asks for,
// and hands it over.
func newRegistrar(t *testing.T, n *siptest.Network) <-chan *sip.Request {
	t.Helper()
	asked := make(chan *sip.Request, 1000)
	newPeer(t, n, registrarAddr, func(tx *transaction.Server, req *sip.Request) {
		contact, err := sip.Get[sip.Contact](req)
		if err != nil {
			t.Errorf("the Contact of a REGISTER: %v", err)
		}
		expires, err := sip.Get[sip.Expires](req)
		if err != nil {
			t.Errorf("the Expires of a REGISTER: %v", err)
		}
		tx.Reply(sip.StatusOK, contact, expires)
		asked <- req
	})
	return asked
}

// The Request-URI of a REGISTER names the domain of the address of record, with
// its port and without its user (RFC 3261 section 10.2).
func TestRegistrarOfAddressWithPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		asked := newRegistrar(t, n)
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example:5070", ua.Config{Proxy: "sip:" + registrarAddr})
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := (<-asked).URI().String(), "sip:a.example:5070"; got != want {
			t.Errorf("REGISTER %s, want %s", got, want)
		}
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Thirty agents register in the same moment. Each refreshes at 81 to 90 % of
// the life of its binding, 5 s before its end at the latest, and hardly two of
// them together.
func TestRefreshesAreSpread(t *testing.T) {
	for _, test := range []struct{ life, first, last time.Duration }{
		{30 * time.Second, 22500 * time.Millisecond, 25 * time.Second},
		{time.Hour, 81 * 36 * time.Second, 90 * 36 * time.Second},
	} {
		t.Run(test.life.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const agents = 30
				n := siptest.NewNetwork(nil)
				asked := newRegistrar(t, n)
				for i := range agents {
					a := newAgent(t, n, fmt.Sprintf("192.0.2.%d", i+1), "sip:alice@a.example", ua.Config{Proxy: "sip:" + registrarAddr})
					if _, err := a.Register(t.Context(), &ua.RegisterOptions{Expires: test.life}); err != nil {
						t.Fatal(err)
					}
					<-asked
				}
				began, moments := time.Now(), map[time.Duration]bool{}
				for range agents {
					<-asked
					at := time.Since(began)
					moments[at] = true
					if at < test.first || at > test.last {
						t.Errorf("a refresh after %v, want %v to %v", at, test.first, test.last)
					}
				}
				if got := len(moments); got < agents/2 {
					t.Errorf("%d agents refresh at %d different moments", agents, got)
				}
			})
		})
	}
}

// A server that grants a second has its REGISTERs and PUBLISHes each five seconds.
func TestShortGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var registers, publishes atomic.Int32
		newPeer(t, n, registrarAddr, func(tx *transaction.Server, req *sip.Request) {
			switch contact, _ := sip.Get[sip.Contact](req); req.Method() {
			case sip.REGISTER:
				registers.Add(1)
				tx.Reply(sip.StatusOK, contact, sip.Expires(1))
			case sip.PUBLISH:
				publishes.Add(1)
				tx.Reply(sip.StatusOK, sip.SIPETag("x"), sip.Expires(1))
			}
		})
		alice := newAgent(t, n, "192.0.2.1", aliceURI, ua.Config{Proxy: "sip:" + registrarAddr})
		if _, err := alice.Register(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if _, err := alice.Publish(t.Context(), "presence", sip.Body{Type: "text/plain", Content: "here"}, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for method, count := range map[sip.Method]*atomic.Int32{sip.REGISTER: &registers, sip.PUBLISH: &publishes} {
			if got := count.Load(); got < 12 || got > 13 {
				t.Errorf("%d of %s in a minute, want 12 or 13", got, method)
			}
		}
	})
}

// A laptop registers and moves to another network. Close removes the binding
// that was made, though the agent has another address now.
func TestUnregisterAfterMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		asked := newRegistrar(t, n)
		laptop := &movable{Network: n.Host("192.0.2.1")}
		alice, err := ua.New("sip:alice@a.example", &ua.Config{
			Network: laptop, Listen: []string{"udp:0.0.0.0:5060"}, Proxy: "sip:" + registrarAddr, Logger: quiet,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alice.Close() })
		reg, err := alice.Register(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		bound := contactOf(t, <-asked)
		laptop.moved.Store(true)
		time.Sleep(time.Minute) // until the way to the registrar is asked for again
		if err := reg.Close(); err != nil {
			t.Error(err)
		}
		last := <-asked
		if got, want := last.Via().Host, "192.0.2.50"; got != want {
			t.Errorf("the agent is at %s, want %s", got, want)
		}
		if expires, err := sip.Get[sip.Expires](last); err != nil || expires != 0 {
			t.Errorf("Expires %v, %v, want 0", expires, err)
		}
		if got := contactOf(t, last); got.Host != "192.0.2.1" || got.String() != bound.String() {
			t.Errorf("the binding of %s is removed, want that of %s", got, bound)
		}
	})
}

func contactOf(t *testing.T, m sip.Message) sip.URI {
	t.Helper()
	c, err := sip.Get[sip.Contact](m)
	if err != nil {
		t.Fatal(err)
	}
	return c.URI
}

// movable is a network on which the ways lead from 192.0.2.50 once it has
// moved, and that lead nowhere while it is away.
type movable struct {
	transport.Network
	moved, away atomic.Bool
}

func (m *movable) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if m.away.Load() {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ENETUNREACH}
	}
	c, err := m.Network.DialContext(ctx, network, address)
	if err != nil || !m.moved.Load() {
		return c, err
	}
	return movedConn{c}, nil
}

type movedConn struct{ net.Conn }

func (movedConn) LocalAddr() net.Addr { return &net.UDPAddr{IP: net.IPv4(192, 0, 2, 50)} }
