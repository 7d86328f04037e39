package transaction

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/snapshot"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// snapshots closes a layer without a word, with a snapshot of all that it had.
func snapshots(t testing.TB, l *Layer) (kept [][]byte) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Errorf("Close() = %v", err)
	}
	for s := range l.Servers() {
		data, err := s.Snapshot()
		if err != nil {
			t.Errorf("Snapshot of %s: %v", s.ID(), err)
		}
		kept = append(kept, data)
	}
	return kept
}

// restoring returns what a Config needs to begin with these.
func restoring(kept [][]byte, handler func(*Server, *sip.Request)) func(*Layer) error {
	return func(l *Layer) error {
		for _, data := range kept {
			if _, err := l.Restore(data, handler); err != nil {
				return err
			}
		}
		return nil
	}
}

// Bob's server rings and is started anew. The one after it answers, and Alice
// never learns.
func TestRestart(t *testing.T) {
	for _, kind := range []string{"udp", "tcp"} {
		t.Run(kind, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				before := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
					tx.Reply(sip.StatusRinging)
					<-tx.Context().Done()
				}})
				time.AfterFunc(time.Second, func() {
					kept := snapshots(t, before)
					listen(t, n.Host(bobAddr), &Config{
						Handler: func(tx *Server, req *sip.Request) { // of the ACK
							if req.Method() != sip.ACK {
								t.Errorf("a %s began anew", req.Method())
							}
						},
						Restore: restoring(kept, func(tx *Server, req *sip.Request) {
							select {
							case <-tx.Context().Done():
								t.Errorf("the context ended with %v", context.Cause(tx.Context()))
							case <-time.After(3 * time.Second):
							}
							tx.Reply(sip.StatusOK)
						}),
					})
				})
				alice := listen(t, n.Host(aliceAddr), nil)
				start := time.Now()
				expect(t, alice, request(sip.INVITE, bobURI+";transport="+kind), "180 200")
				if got := time.Since(start).Truncate(100 * time.Millisecond); got != 4*time.Second {
					t.Errorf("the call took %v, want 4s", got)
				}
			})
		})
	}
}

// A client that does not see the restart, over UDP, in each state of the two
// server machines: what it had sent before, what comes of a retransmission after
// it, and what by itself.
func TestRestartInEachState(t *testing.T) {
	for _, test := range []struct {
		name    string
		method  sip.Method
		handler func(*Server, *sip.Request) // of the first run
		runs    time.Duration
		before  string // what comes in the time of the first run
		ack     bool   // a refusal gets its ACK there
		again   string // what the request gets when it comes again
		after   string // what comes by itself in the minute after
	}{
		{"INVITE, no response", sip.INVITE, wait(0), time.Second, "100 INVITE", false, "100 INVITE", "486 INVITE"},
		{"INVITE, ringing", sip.INVITE, wait(180), time.Second, "180 INVITE", false, "180 INVITE", "486 INVITE"},
		{"INVITE, refused at once", sip.INVITE, answer(403), time.Second, "403 INVITE", false, "403 INVITE", ""},
		{"INVITE, challenged after a 1xx", sip.INVITE, answer(100, 407), time.Second, "100 INVITE, 407 INVITE, 407 INVITE", false, "407 INVITE", "407 INVITE"},
		{"INVITE, refused", sip.INVITE, answer(180, 486), time.Second, "180 INVITE, 486 INVITE, 486 INVITE", false, "486 INVITE",
			// timer G has come to 1 s, of which half a second was left
			strings.TrimSuffix(strings.Repeat("486 INVITE, ", 9), ", ")},
		{"INVITE, refused and acknowledged", sip.INVITE, answer(180, 486), time.Second, "180 INVITE, 486 INVITE, 486 INVITE", true, "", ""},
		{"INVITE, accepted", sip.INVITE, answer(200), time.Second, "200 INVITE", false, "", ""},
		{"OPTIONS, no response", sip.OPTIONS, wait(0), time.Second, "", false, "", "100 OPTIONS, 486 OPTIONS"},
		{"OPTIONS, trying", sip.OPTIONS, wait(0), 5 * time.Second, "100 OPTIONS", false, "100 OPTIONS", "486 OPTIONS"},
		{"OPTIONS, answered", sip.OPTIONS, answer(200), time.Second, "200 OPTIONS", false, "200 OPTIONS", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice := alicePeer(t, n)
				before := listen(t, n.Host(bobAddr), &Config{Handler: test.handler})
				req := alice.with("z9hG4bK1", request(test.method, bobURI))
				alice.send(req)
				alice.expectAll(test.runs, test.before)
				if test.ack {
					alice.send(ackFor(req, reply(req, 486, "b")))
					pass(20 * time.Millisecond)
				}
				var was string
				for s := range before.Servers() {
					was = s.ID()
				}
				kept := snapshots(t, before)

				after := listen(t, n.Host(bobAddr), &Config{
					Handler: func(tx *Server, req *sip.Request) {
						select {
						case <-time.After(10 * time.Second):
						case <-tx.Context().Done():
						}
						tx.Reply(486)
					},
					Restore: restoring(kept, nil),
				})
				for s := range after.Servers() {
					if s.ID() != was || s.Request().String() != req.String() {
						t.Errorf("restored were %s and\n%s\nwant %s and\n%s", s.ID(), s.Request(), was, req)
					}
				}
				alice.send(req)
				alice.expectAll(100*time.Millisecond, test.again)
				if test.after == "486 INVITE" { // its ACK ends it
					if got := alice.response(test.after); got != nil {
						alice.send(ackFor(req, got))
					}
					test.after = ""
				}
				alice.expectAll(50*time.Second, test.after)
			})
		})
	}
}

// wait is a handler that says one thing, or nothing, and waits for the end.
func wait(status sip.Status) func(*Server, *sip.Request) {
	return func(tx *Server, _ *sip.Request) {
		if status != 0 {
			tx.Reply(status)
		}
		<-tx.Context().Done()
	}
}

// The ACK of a refusal that was given before the restart ends the
// retransmissions after it, and is absorbed. That of a 2xx with the branch of its
// INVITE goes to a handler (RFC 6026 section 6).
func TestRestartBeforeTheACK(t *testing.T) {
	for _, test := range []struct {
		status sip.Status
		sent   string // after the restart
		noted  string
	}{{486, "", ""}, {200, "", "ACK"}} {
		t.Run(fmt.Sprint(int(test.status)), func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice := alicePeer(t, n)
				before := listen(t, n.Host(bobAddr), &Config{Handler: answer(test.status)})
				req := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
				alice.send(req)
				resp := alice.response(fmt.Sprint(int(test.status), " INVITE"))
				kept := snapshots(t, before)
				var j journal
				listen(t, n.Host(bobAddr), &Config{
					Handler: func(tx *Server, req *sip.Request) { j.note("%s", req.Method()) },
					Restore: restoring(kept, nil),
				})
				alice.send(ackFor(req, resp))
				alice.expectAll(time.Minute, test.sent)
				j.check(t, strings.Fields(test.noted)...)
			})
		})
	}
}

// The caller gives up while the program is started anew, or just before: the
// context of the restored request ends, and what is left open gets 487.
func TestRestartAndCancel(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice := alicePeer(t, n)
				release := make(chan struct{})
				before := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, _ *sip.Request) {
					tx.Reply(180)
					<-release
				}})
				t.Cleanup(func() { close(release) })
				req := alice.with("z9hG4bK1", request(sip.INVITE, bobURI))
				alice.send(req)
				alice.response("180 INVITE")
				if when == "before" {
					alice.send(cancelOf(req))
					alice.response("200 CANCEL")
				}
				kept := snapshots(t, before)
				var cause error
				listen(t, n.Host(bobAddr), &Config{Restore: restoring(kept, func(tx *Server, req *sip.Request) {
					if req.Method() == sip.INVITE {
						<-tx.Context().Done()
						cause = context.Cause(tx.Context())
					}
				})})
				if when == "after" {
					alice.send(cancelOf(req))
					alice.response("200 CANCEL")
				}
				resp := alice.response("487 INVITE")
				alice.send(ackFor(req, resp))
				alice.send(cancelOf(req)) // again
				alice.expectAll(time.Minute, "200 CANCEL")
				if !errors.Is(cause, ErrCancelled) {
					t.Errorf("the context ended with %v, want %v", cause, ErrCancelled)
				}
			})
		})
	}
}

// A second node at another address takes over: what it says leaves by its own
// socket, and Alice goes by the branch.
func TestSecondNode(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		before := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			tx.Reply(180)
			<-tx.Context().Done()
		}})
		second := listen(t, n.Host(proxyAddr), nil)
		time.AfterFunc(time.Second, func() {
			for _, data := range snapshots(t, before) {
				if _, err := second.Restore(data, answer(486)); err != nil {
					t.Error(err)
				}
			}
		})
		alice := listen(t, n.Host(aliceAddr), nil)
		expect(t, alice, request(sip.INVITE, bobURI), "180 486")
	})
}

// A request that comes by another path is still found to be the same, or not,
// as it was before.
func TestRestartKnowsMergedRequests(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := alicePeer(t, n)
		before := listen(t, n.Host(bobAddr), &Config{Handler: wait(180)})
		req := request(sip.INVITE, bobURI)
		alice.send(alice.with("z9hG4bK1", req))
		alice.response("180 INVITE")
		kept := snapshots(t, before)
		listen(t, n.Host(bobAddr), &Config{Restore: restoring(kept, wait(0))})
		alice.send(alice.with("z9hG4bK2", req))
		resp := alice.response("482 INVITE")
		alice.send(ackFor(alice.with("z9hG4bK2", req), resp))
		alice.send(cancelOf(alice.with("z9hG4bK1", req)))
		alice.response("200 CANCEL")
		resp = alice.response("487 INVITE")
		alice.send(ackFor(alice.with("z9hG4bK1", req), resp))
	})
}

// A handler that panics, or returns without an answer, costs a 500, as ever.
func TestRestoredIsNotLeftOpen(t *testing.T) {
	for _, how := range []string{"return", "panic"} {
		t.Run(how, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice := alicePeer(t, n)
				before := listen(t, n.Host(bobAddr), &Config{Handler: wait(0)})
				alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
				pass(20 * time.Millisecond)
				kept := snapshots(t, before)
				after := listen(t, n.Host(bobAddr), &Config{Restore: restoring(kept, func(tx *Server, req *sip.Request) {
					pass := time.After(time.Second)
					<-pass
					if how == "panic" {
						panic("a bug in the program")
					}
				})})
				if err := after.Shutdown(t.Context()); err != nil { // waits for it
					t.Errorf("Shutdown() = %v", err)
				}
				alice.expectAll(time.Second, "500 OPTIONS")
			})
		})
	}
}

// The limits count what was restored, and hold for it.
func TestRestoreIsCounted(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := alicePeer(t, n)
		before := listen(t, n.Host(bobAddr), &Config{Handler: wait(180)})
		for i := range 3 {
			req := request(sip.INVITE, bobURI, sip.CallID(fmt.Sprint(i)), sip.Body{Type: "text/plain", Content: strings.Repeat("x", 5000)})
			alice.send(alice.with(fmt.Sprint("z9hG4bK", i), req))
			alice.response("180 INVITE")
		}
		bytes := tallyOf(before).bytes
		kept := snapshots(t, before)
		for name, test := range map[string]struct {
			cfg  Config
			want int
		}{
			"handlers": {Config{MaxHandlers: 2}, 2},
			"bytes":    {Config{MaxBytes: bytes / 2}, 2},
			"none":     {Config{}, 3},
		} {
			test.cfg.Handler = wait(0)
			l := listen(t, n.Host(proxyAddr), &test.cfg)
			got := 0
			for _, data := range kept {
				if _, err := l.Restore(data, nil); err == nil {
					got++
				} else if !errors.Is(err, ErrFull) {
					t.Errorf("%s: Restore() = %v, want %v", name, err, ErrFull)
				}
			}
			if got != test.want {
				t.Errorf("%s: %d were restored, want %d", name, got, test.want)
			}
			if is := tallyOf(l); is.bytes != bytes*got/3 || is.open != got || is.handlers != got || is.servers != got {
				t.Errorf("%s: there are %+v, want %d bytes, and %d of each", name, is, bytes*got/3, got)
			}
			l.Close()
			synctest.Wait()
		}
	})
}

// What cannot be kept, and what cannot be gone on with.
func TestRestoreErrors(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		alice := alicePeer(t, n)
		acks := make(chan *Server, 1)
		before := listen(t, n.Host(bobAddr), &Config{Handler: func(tx *Server, req *sip.Request) {
			if req.Method() == sip.ACK {
				acks <- tx
				return
			}
			tx.Reply(sip.StatusOK)
		}})
		alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
		alice.response("200 OPTIONS")
		var tx *Server
		for tx = range before.Servers() {
		}
		data, err := tx.Snapshot()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := before.Restore(data, nil); !errors.Is(err, ErrExists) {
			t.Errorf("Restore of one that is there = %v, want %v", err, ErrExists)
		}
		alice.send(alice.with("z9hG4bK2", request(sip.ACK, bobURI)))
		if _, err := (<-acks).Snapshot(); !errors.Is(err, ErrCompleted) {
			t.Errorf("Snapshot of an ACK = %v, want %v", err, ErrCompleted)
		}
		pass(time.Minute)
		if _, err := tx.Snapshot(); !errors.Is(err, ErrCompleted) {
			t.Errorf("Snapshot of one that is over = %v, want %v", err, ErrCompleted)
		}

		for name, test := range map[string]struct {
			data []byte
			want error
		}{
			"nothing":             {nil, ErrSnapshot},
			"cut off":             {data[:len(data)-1], ErrSnapshot},
			"of a later version":  {append([]byte{data[0], snapshotVersion + 1}, data[2:]...), ErrSnapshotVersion},
			"of something else":   {append([]byte{'d'}, data[1:]...), ErrSnapshot},
			"of an ACK":           {sealed("UDP", alice.with("z9hG4bK4", request(sip.ACK, bobURI))), ErrSnapshot},
			"of a response":       {sealed("UDP", alice.with("z9hG4bK4", request(sip.OPTIONS, bobURI)).Reply(200)), ErrSnapshot},
			"of no message":       {sealed("UDP", request(sip.OPTIONS, bobURI)), ErrSnapshot}, // for it has no Via
			"by another protocol": {sealed("SCTP", alice.with("z9hG4bK4", request(sip.OPTIONS, bobURI))), transport.ErrNoFlow},
			"that ends too soon":  {sealed("UDP", alice.with("z9hG4bK4", request(sip.OPTIONS, bobURI))), ErrSnapshot},
		} {
			if _, err := before.Restore(test.data, nil); !errors.Is(err, test.want) {
				t.Errorf("Restore of a snapshot %s = %v, want %v", name, err, test.want)
			}
		}
		before.Close()
		if _, err := before.Restore(data, nil); !errors.Is(err, transport.ErrClosed) {
			t.Errorf("Restore when closed = %v, want %v", err, transport.ErrClosed)
		}

		// What Config.Restore fails with fails Listen, and leaves nothing bound.
		boom := errors.New("the store is not there")
		cfg := &transport.Config{Listen: []string{"udp:" + bobAddr + ":5060"}, Network: n.Host(bobAddr)}
		_, err = Listen(cfg, &Config{Restore: func(l *Layer) error {
			alice.send(alice.with("z9hG4bK3", request(sip.OPTIONS, bobURI)))
			pass := time.After(time.Second) // it waits meanwhile
			<-pass
			if _, err := l.Restore(data, nil); err != nil {
				t.Error(err)
			}
			return boom
		}})
		if err != boom {
			t.Errorf("Listen() = %v, want %v", err, boom)
		}
		listen(t, n.Host(bobAddr), nil)
		alice.expectAll(time.Minute, "")
	})
}

// sealed is a snapshot that is whole, with so much in it.
func sealed(kind string, message sip.Message) []byte {
	var w snapshot.Writer
	w.Text(kind)
	w.Addr(netip.MustParseAddrPort(bobAddr + ":5060"))
	w.Addr(netip.MustParseAddrPort(aliceAddr + ":5060"))
	w.Uint(0) // no identities
	w.Text(message.String())
	w.Bool(false) // no response
	w.Bool(false) // not cancelled
	w.Bool(false) // not to be merged
	w.Text("")    // no tag
	w.Bool(false) // not taken on
	return w.Seal(snapshotKind, snapshotVersion)
}

// FuzzRestore reads what was damaged, cut off or made up: an error, or a
// transaction that can be written down again, and ends.
func FuzzRestore(f *testing.F) {
	l, flow := alone(f, &Config{Handler: func(*Server, *sip.Request) {}})
	for i, respond := range [][]sip.Status{{}, {180}, {486}, {200}} {
		for _, method := range []sip.Method{sip.INVITE, sip.OPTIONS} {
			req := request(method, bobURI, sip.Push(sip.Via{Transport: "UDP", Host: aliceAddr, Params: sip.Params(fmt.Sprint(";branch=z9hG4bK", i))}))
			key := serverKeyOf(req)
			s := newServer(l, l.table(key.branch), &transport.Inbound{Message: req, Flow: flow}, req, key)
			s.step(input{event: inStart}, nil)
			for _, status := range respond {
				s.Reply(status)
			}
			data, err := s.Snapshot()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data, false)
			f.Add(data[10:], true)
			s.step(input{event: inAbandon}, nil)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal {
			var w snapshot.Writer
			w.Raw(data)
			data = w.Seal(snapshotKind, snapshotVersion)
		}
		s, err := l.Restore(data, nil)
		if err != nil {
			return
		}
		if _, err := s.Snapshot(); err != nil && !errors.Is(err, ErrCompleted) {
			t.Errorf("Snapshot of what was restored: %v", err)
		}
		s.step(input{event: inAbandon}, nil)
		until(t, l, func(n tally) bool { return n == tally{} })
	})
}
