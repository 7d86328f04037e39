package transport

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// Half-open connections are bounded in number and in time, and leave the others
// alone.
func TestMaxConns(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{MaxConns: 10, Handle: func(in *Inbound) { ok(&e)(in) }})
		tcp := s.accept(s.alice, aliceAddr)
		client := s.dial(s.alice, bobAddr)
		client.send(message(options, tcpVia))
		client.receive()
		var flood []*peerStream
		for range 100 {
			flood = append(flood, s.dial(s.n.Host("192.0.2.66"), bobAddr))
		}
		s.tables(e, 10, 0)
		s.stats(e, Stats{Received: 1, Sent: 1, RefusedConns: 91})
		if flood[8].isClosed() || !flood[9].isClosed() {
			t.Error("the tenth connection is closed, or the eleventh is not")
		}
		client.send(message(options, tcpVia))
		s.contains(client.receive(), "200 OK")
		// Connections that we make are not refused.
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1"); err != nil {
			t.Error(err)
		}
		if got := len(tcp.all()); got != 1 {
			t.Errorf("%d connections to the peer, want 1", got)
		}

		s.wait(messageTimeout) // the flood has sent nothing
		s.tables(e, 2, 0)
		late := s.dial(s.n.Host("192.0.2.3"), bobAddr)
		late.send(message(options, tcpVia))
		s.contains(late.receive(), "200 OK")
	})
}

// A peer that lost its connection without a word and connects again from the
// same port is reached by the new connection.
func TestPeerConnectsAgainFromTheSamePort(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{Listen: []string{"tcp:" + bobAddr, "tcp:192.0.2.2:5070"}})
		first := s.dial(s.alice, bobAddr)
		// To another listener of ours, which lets the test use the port twice.
		synctest.Wait()
		pipeNear, pipeFar := net.Pipe()
		defer pipeNear.Close()
		take(e.Endpoint, renamed{pipeFar, first.RemoteAddr(), first.LocalAddr()})
		got := make(chan string)
		go func() { // ends when the connection is closed
			b := make([]byte, 1000)
			n, _ := pipeNear.Read(b)
			got <- string(b[:n])
		}()
		if _, _, err := e.SendRequest(background, outgoing(t), target("TCP", first.LocalAddr().String()), "z9hG4bK1"); err != nil {
			t.Fatal(err)
		}
		s.contains(<-got, options)
		if text := first.receive(); text != "" {
			t.Errorf("%q went by the old connection", text)
		}
		first.Close()
		synctest.Wait()
		if !e.connected(target("TCP", first.LocalAddr().String())) {
			t.Error("the end of the old connection took the new one with it")
		}
	})
}

type renamed struct {
	net.Conn
	local, remote net.Addr
}

func (r renamed) LocalAddr() net.Addr  { return r.local }
func (r renamed) RemoteAddr() net.Addr { return r.remote }

// An accept that fails, for want of file descriptors say, is tried again.
func TestAcceptErrors(t *testing.T) {
	play(t, nil, func(s *scene) {
		var e *inbox
		e = s.listen(&Config{Network: failingNetwork{s.bob}, Handle: func(in *Inbound) { ok(&e)(in) }})
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		s.contains(phone.receive(), "200 OK")
		if got := strings.Count(s.log.String(), "accept failed"); got != 3 {
			t.Errorf("%d failures were logged, want 3", got)
		}
	})
}

// failingNetwork has listeners whose first three accepts fail.
type failingNetwork struct{ Network }

func (n failingNetwork) Listen(ctx context.Context, network, address string) (net.Listener, error) {
	l, err := n.Network.Listen(ctx, network, address)
	return &failingListener{Listener: l}, err
}

type failingListener struct {
	net.Listener
	failed int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failed++; l.failed <= 3 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

// Closed is called for connections that carried messages, and for no others.
func TestClosed(t *testing.T) {
	play(t, nil, func(s *scene) {
		var mu sync.Mutex
		closed := map[Flow]error{}
		e := s.listen(&Config{Closed: func(f Flow, err error) {
			mu.Lock()
			defer mu.Unlock()
			if _, twice := closed[f]; twice {
				t.Errorf("Closed was called twice for %v", f)
			}
			closed[f] = err
		}})
		tcp := s.accept(s.alice, aliceAddr)
		s.dial(s.alice, bobAddr).Close() // carries nothing
		phone := s.dial(s.alice, bobAddr)
		phone.send(message(options, tcpVia))
		in := s.one(e)
		out, _, err := e.SendRequest(background, outgoing(t), target("TCP", aliceAddr), "z9hG4bK1")
		if err != nil {
			t.Fatal(err)
		}
		phone.Close()
		synctest.Wait()
		tcp.all()[0].receive()
		s.alice.Reset()
		synctest.Wait()
		e.Close()
		mu.Lock()
		defer mu.Unlock()
		if len(closed) != 2 {
			t.Fatalf("Closed was called for %v, want two flows", closed)
		}
		if closed[in.Flow].Error() != "EOF" || !errors.Is(closed[out], syscall.ECONNRESET) {
			t.Errorf("Closed was called with %v, want EOF and ECONNRESET", closed)
		}
	})
}

// Close does not wait for dials and writes that are under way, and ends them.
func TestCloseWithSendsInFlight(t *testing.T) {
	play(t, &siptest.NetworkConfig{Delay: time.Second}, func(s *scene) {
		var reasons []error
		e := s.listen(&Config{Closed: func(_ Flow, err error) { reasons = append(reasons, err) }})
		deaf := s.dial(s.alice, bobAddr)
		deaf.send(message(options, tcpVia))
		s.wait(5 * time.Second)
		flow := s.one(e).Flow
		for range 2000 {
			e.Send(flow, outgoing(t))
		}
		s.n.Host("192.0.2.9").Down()
		errs := make(chan error)
		for range 5 {
			go func() { // ends with Close
				_, _, err := e.SendRequest(background, outgoing(t), target("TCP", "192.0.2.9:5060"), "z9hG4bK1")
				errs <- err
			}()
		}
		synctest.Wait()
		before := time.Now()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if took := time.Since(before); took != 0 {
			t.Errorf("Close took %v", took)
		}
		for range 5 {
			if err := <-errs; !errors.Is(err, ErrClosed) {
				t.Errorf("SendRequest = %v, want ErrClosed", err)
			}
		}
		synctest.Wait()
		if len(reasons) != 1 || !errors.Is(reasons[0], ErrClosed) {
			t.Errorf("Closed was called with %v, want ErrClosed", reasons)
		}
		if err := e.Send(flow, outgoing(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("Send = %v, want ErrClosed", err)
		}
		for _, network := range []string{"UDP", "TCP"} {
			if _, _, err := e.SendRequest(background, outgoing(t), target(network, aliceAddr), "z9hG4bK1"); !errors.Is(err, ErrClosed) {
				t.Errorf("SendRequest by %s = %v, want ErrClosed", network, err)
			}
		}
		if err := e.Close(); err != nil {
			t.Errorf("Close again: %v", err)
		}
	})
}
