package transaction

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// deafURI is that of a host which is not on the network.
const deafURI = "sip:carol@192.0.2.9"

// dials makes a handler's wait of what has to wait for a connection.
func dials(send func(context.Context, *Layer)) func(*Server) {
	return func(tx *Server) {
		ctx, release := tx.Hold()
		defer release()
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		send(ctx, tx.Layer())
	}
}

// A handler that waits, for whatever, does not keep the socket from being read
// on: not at all if it asks for its context, and for the time that the patrol
// takes otherwise.
func TestHandlersThatWait(t *testing.T) {
	const roundTrip = 20 * time.Millisecond // of siptest's network
	for _, test := range []struct {
		name string
		wait func(tx *Server)
		most time.Duration
	}{
		{"for the context", func(tx *Server) { <-tx.Context().Done() }, 0},
		{"for a worker", func(tx *Server) {
			defer tx.Waiting()()
			<-time.After(10 * time.Second)
		}, 0},
		{"for a connection to send by", dials(func(ctx context.Context, l *Layer) {
			l.Send(ctx, request(sip.MESSAGE, deafURI+";transport=tcp"))
		}), 0},
		{"for a connection to name in a Contact", dials(func(ctx context.Context, l *Layer) {
			l.Contact(ctx, request(sip.MESSAGE, deafURI+";transport=tls"))
		}), 0},
		{"for a connection that a long request goes by", dials(func(ctx context.Context, l *Layer) {
			for n := 700; ctx.Err() == nil; n++ { // the first that is too long for UDP
				l.Send(ctx, request(sip.MESSAGE, deafURI, sip.Body{Type: "text/plain", Content: strings.Repeat("x", n)}))
			}
		}), 0},
		{"for a connection that a request goes by which its edits have made long", dials(func(ctx context.Context, l *Layer) {
			ctx = transport.WithEdits(ctx, func(context.Context, transport.Flow) ([]sip.Edit, error) {
				by := sip.RecordRoute{URI: sip.URI{Scheme: "sip", User: strings.Repeat("x", 130), Host: bobAddr, Params: ";lr"}}
				return []sip.Edit{sip.Push(by), sip.Push(by)}, nil
			})
			invite := request(sip.INVITE, deafURI)
			fill := strings.Repeat("x", 1100-len("Content-Type: text/plain\r\n")-len(invite.String()))
			l.Start(ctx, invite.With(sip.Body{Type: "text/plain", Content: fill}), func(*sip.Response, error) {})
		}), 0},
		{"for something else, and says so", func(tx *Server) {
			tx.Detach()
			<-time.After(10 * time.Second)
		}, 0},
		{"for something else", func(*Server) { <-time.After(10 * time.Second) }, 2 * round},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				n.Host("192.0.2.9").Down()
				l := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					if req.Method() == sip.INVITE {
						test.wait(tx)
						tx.Reply(sip.StatusBusyHere)
						return
					}
					tx.Reply(sip.StatusOK)
				}})
				l.inline = true
				alice := alicePeer(t, n)
				invite := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
				message := alice.with("z9hG4bK2", request(sip.MESSAGE, bobURI, sip.CallID("another@a")))
				start := time.Now()
				alice.send(invite, message)
				alice.response("200 MESSAGE")
				if took := time.Since(start) - roundTrip; took > test.most {
					t.Errorf("the MESSAGE waited for %v, want %v at most", took, test.most)
				}
				// Handlers have goroutines of their own now.
				next := alice.with("z9hG4bK3", request(sip.INVITE, bobURI, sip.CallID("third@a")))
				start = time.Now()
				alice.send(next, alice.with("z9hG4bK4", request(sip.MESSAGE, bobURI, sip.CallID("fourth@a"))))
				alice.response("200 MESSAGE")
				if took := time.Since(start) - roundTrip; took != 0 {
					t.Errorf("the next MESSAGE waited for %v, want 0", took)
				}
				alice.send(cancelOf(invite), cancelOf(next))
				alice.all(time.Minute)
			})
		})
	}
}

// A handler may end its goroutine, and close the layer that has called it.
func TestHandlersThatEndIt(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var l *Layer
		closed := make(chan error, 1)
		l = listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			switch req.Method() {
			case sip.OPTIONS:
				runtime.Goexit()
			case sip.MESSAGE:
				closed <- l.Close()
			}
		}})
		l.inline = true
		alice := alicePeer(t, n)
		alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
		alice.response("500 OPTIONS")
		alice.send(alice.with("z9hG4bK2", request(sip.MESSAGE, bobURI, sip.CallID("another@a"))))
		if err := <-closed; err != nil {
			t.Errorf("Close = %v", err)
		}
	})
}

// Handlers that are slow now and then, and too often, get goroutines of their own:
// the others do not wait for them but for some hundredths of a second from time to
// time, in which the layer finds that they are slow still.
func TestHandlersThatAreSlowTooOften(t *testing.T) {
	late, asked := slowHandlers(t, 10*time.Millisecond)
	if most := asked / 50; late == 0 || late > most {
		t.Errorf("%d of %d quick requests waited, want some, and at most %d", late, asked, most)
	}
}

// What is slow seldom, as all is on a busy machine, changes nothing.
func TestHandlersThatAreSlowOnce(t *testing.T) {
	late, asked := slowHandlers(t, 500*time.Millisecond)
	if least := asked / 100; late < least {
		t.Errorf("%d of %d quick requests waited, want at least %d: handlers had goroutines of their own", late, asked, least)
	}
}

// slowHandlers asks a layer with a handler that takes no time, one thousand times
// a second for ten seconds, and every now and then one that takes 9 ms. It returns
// how many of the quick requests waited.
func slowHandlers(t *testing.T, every time.Duration) (late, asked int) {
	story(t, func(t *testing.T, n *siptest.Network) {
		var mu sync.Mutex
		sent := map[string]time.Time{}
		l := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.MESSAGE {
				<-time.After(9 * time.Millisecond)
			} else {
				mu.Lock()
				if time.Since(sent[req.CallID()]) > 11*time.Millisecond {
					late++
				}
				mu.Unlock()
			}
			tx.Reply(sip.StatusOK)
		}})
		l.inline = true
		alice := alicePeer(t, n)
		for at := time.Duration(0); at < 10*time.Second; at += time.Millisecond {
			method := sip.OPTIONS
			if at%every == 0 {
				method = sip.MESSAGE
			} else {
				asked++
			}
			mu.Lock()
			sent[at.String()] = time.Now()
			mu.Unlock()
			alice.send(alice.with("z9hG4bK"+at.String(), request(method, bobURI, sip.CallID(at.String()))))
			<-time.After(time.Millisecond)
		}
	})
	return late, asked
}
