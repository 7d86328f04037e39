package transaction

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// listenTraced is listen with a Trace.
func listenTraced(t testing.TB, host *siptest.Host, sent func(transport.TraceMessage)) *Layer {
	t.Helper()
	l, err := Listen(&transport.Config{Network: host, Listen: []string{"udp::5060", "tcp::5060"},
		Logger: slog.New(slog.DiscardHandler), Trace: &transport.Trace{Sent: sent}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nothingLeft(t, l) })
	t.Cleanup(func() { l.Close() })
	return l
}

// A send that does not return, for what traces it ends the goroutine, has failed.
// Who waits for the response is told what there is to tell.
func TestSendThatDoesNotReturn(t *testing.T) {
	for _, test := range []struct {
		name, sending string
		nth           int
		uri, want     string
	}{
		{"the ACK of a 486", "ACK ", 1, bobURI, "180 486"},
		{"the ACK of a 486 on a connection", "ACK ", 1, bobURI + ";transport=tcp", "180 486"},
		{"the INVITE again", "INVITE ", 2, "sip:192.0.2.9", "error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				n.Host("192.0.2.9").ListenPacket(t.Context(), "udp", ":5060") // says nothing
				listen(t, n.Host(bobAddr), &Config{Handler: answer(180, 486)})
				var sent atomic.Int32
				alice := listenTraced(t, n.Host(aliceAddr), func(m transport.TraceMessage) {
					if strings.HasPrefix(m.Text, test.sending) && int(sent.Add(1)) == test.nth {
						runtime.Goexit()
					}
				})
				start := time.Now()
				got, err := collect(t.Context(), alice, request(sip.INVITE, test.uri))
				if got != test.want || (test.want == "error") != errors.Is(err, ErrTransport) {
					t.Errorf("responses %q, %v, want %q", got, err, test.want)
				}
				if took := time.Since(start); took > time.Second {
					t.Errorf("it took %v", took)
				}
			})
		})
	}
}

// A trace that panics costs nothing but what it has to say, on whatever
// goroutine of ours it is called: that of a timer, and that of a context.
func TestTraceThatPanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		bob := bobPeer(t, n)
		alice := listenTraced(t, n.Host(aliceAddr), func(m transport.TraceMessage) { panic("a bug in a trace") })
		start := time.Now()
		go func() {
			bob.request(sip.INVITE)
			invite := bob.request(sip.INVITE) // again
			bob.send(reply(invite, 180, "b"))
			bob.send(reply(bob.request(sip.CANCEL), 200, "b"), reply(invite, 487, "b"))
			bob.request(sip.ACK)
		}()
		if got, err := collect(cancelledAfter(t, time.Second), alice, request(sip.INVITE, bobURI)); got != "180 487" || err != nil {
			t.Errorf("responses %q, %v, want 180 487", got, err)
		}
		if took := time.Since(start); took > 1100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

// A func that is told of responses ends its goroutine, as FailNow does. Those
// that are told by the same goroutine, of timers that run out together, of the
// end of a connection or of the layer, are told all the same.
func TestGoexitStrandsNobody(t *testing.T) {
	const mute = "192.0.2.9"
	for _, test := range []struct {
		name, uri string
		end       func(alice *Layer, host *siptest.Host)
		told      int // what each func is told
	}{
		{"timers", "sip:" + mute, func(*Layer, *siptest.Host) { pass(time.Minute) }, 1},
		{"Close", "sip:" + mute, func(alice *Layer, _ *siptest.Host) {
			go alice.Close() // this goroutine ends too
			pass(time.Second)
		}, 1},
		{"the end of a connection", "sip:" + mute + ";transport=tcp", func(_ *Layer, host *siptest.Host) {
			host.Reset()
			pass(time.Minute) // one that was about to be sent goes by another connection
		}, 1},
		{"responses", bobURI, func(*Layer, *siptest.Host) { pass(time.Minute) }, 3},
		{"responses on a connection", bobURI + ";transport=tcp", func(*Layer, *siptest.Host) { pass(time.Minute) }, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				silent := n.Host(mute)
				silent.ListenPacket(t.Context(), "udp", ":5060")
				silent.Listen(t.Context(), "tcp", ":5060")
				listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, _ *sip.Request) {
					for _, status := range []sip.Status{180, 183, 486} {
						tx.Reply(status)
					}
				}})
				alice := listen(t, n.Host(aliceAddr), nil)
				const requests = 50
				var told [requests]atomic.Int32
				var waiting sync.WaitGroup
				for i := range requests {
					r := request(sip.INVITE, test.uri, sip.CallID(fmt.Sprint(i)))
					if i%2 == 0 {
						waiting.Go(func() { alice.Do(t.Context(), r) })
						continue
					}
					go alice.Start(t.Context(), r, func(*sip.Response, error) {
						told[i].Add(1)
						runtime.Goexit()
					})
				}
				pass(time.Millisecond)
				test.end(alice, n.Host(aliceAddr))
				waiting.Wait()
				for i := 1; i < requests; i += 2 {
					if got := int(told[i].Load()); got != test.told {
						t.Errorf("%d was told %d times, want %d", i, got, test.told)
					}
				}
			})
		})
	}
}

// So it is where it ends its goroutine with each of a great many responses: it is
// told of all, and the request ends.
func TestGoexitWithEachOfMany(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		const ringing = 200
		listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, _ *sip.Request) {
			for range ringing {
				tx.Reply(sip.StatusRinging)
				pass(100 * time.Millisecond)
			}
			tx.Reply(sip.StatusBusyHere)
		}})
		alice := listen(t, n.Host(aliceAddr), nil)
		var told atomic.Int32
		go alice.Start(t.Context(), request(sip.INVITE, bobURI), func(*sip.Response, error) {
			told.Add(1)
			runtime.Goexit()
		})
		pass(time.Millisecond)
		start := time.Now()
		if err := alice.Shutdown(t.Context()); err != nil {
			t.Errorf("Shutdown = %v", err)
		}
		if took, most := time.Since(start), (ringing+1)*100*time.Millisecond; took > most {
			t.Errorf("Shutdown took %v, want %v at most: to the final response", took, most)
		}
		if got := int(told.Load()); got != ringing+1 {
			t.Errorf("told of %d responses, want %d", got, ringing+1)
		}
	})
}
