package transaction

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// Config.Restore closes the layer while a message waits for it:
// Listen ends, with an error whatever Restore says.
func TestRestoreCloses(t *testing.T) {
	failure := errors.New("no snapshots")
	for _, test := range []struct {
		name string
		end  func(*Layer) error
		want error
	}{
		{"Close and an error", func(l *Layer) error { l.Close(); return failure }, failure},
		{"Close", func(l *Layer) error { return l.Close() }, transport.ErrClosed},
		{"Shutdown", func(l *Layer) error { return l.Shutdown(context.Background()) }, transport.ErrClosed},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				alice := alicePeer(t, n)
				l, err := Listen(&transport.Config{Listen: []string{"udp:" + bobAddr + ":5060"}, Network: n.Host(bobAddr)}, &Config{
					Handler: func(*Server, *sip.Request) { t.Error("a request of a layer that is closed was taken") },
					Restore: func(l *Layer) error {
						alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
						pass(time.Second)
						return test.end(l)
					},
				})
				if l != nil || !errors.Is(err, test.want) {
					t.Errorf("Listen() = %v, %v, want %v", l, err, test.want)
				}
				alice.expectAll(time.Second, "")
			})
		})
	}
}

// A panic in Config.Restore is the caller's, and leaves no sockets behind.
func TestRestorePanics(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		tc := &transport.Config{Listen: []string{"udp:" + bobAddr + ":5060"}, Network: n.Host(bobAddr)}
		alice := alicePeer(t, n)
		func() {
			defer func() {
				if got := recover(); got != "a bug of the user" {
					t.Errorf("Listen panics with %v", got)
				}
			}()
			Listen(tc, &Config{Restore: func(*Layer) error {
				alice.send(alice.with("z9hG4bK1", request(sip.OPTIONS, bobURI)))
				pass(time.Second)
				panic("a bug of the user")
			}})
		}()
		l, err := Listen(tc, nil)
		if err != nil {
			t.Fatalf("Listen on the same port: %v", err)
		}
		l.Close()
	})
}
