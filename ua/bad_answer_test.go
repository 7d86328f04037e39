package ua_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/transaction"
	"github.com/goparley/parley/ua"
)

// noNames is a resolver that knows no host.
type noNames struct{}

func (noNames) Lookup(_ context.Context, host string, _ resolve.Type) (*resolve.Answer, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

// The Contact of a 200 leads nowhere. The call ends, and its ACK and BYE go where
// the INVITE went, so that the callee knows.
func TestUnreachableContact(t *testing.T) {
	for _, contact := range []string{"<sips:x@192.0.2.2>", "<sip:x@nowhere.invalid>", "<sip:x@192.0.2.2;transport=sctp>", "*"} {
		synctest.Test(t, func(t *testing.T) {
			n := siptest.NewNetwork(nil)
			var got []sip.Method
			newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
				got = append(got, req.Method())
				if req.Method() != sip.ACK {
					tx.Reply(sip.StatusOK, sip.Field{Name: "Contact", Value: contact}, describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
				}
			})
			alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{Resolver: noNames{}})
			stream := newStream(t)
			if _, err := alice.Invite(t.Context(), bobURI, streams(stream)); err == nil {
				t.Errorf("%s: Invite() worked", contact)
			}
			synctest.Wait()
			if want := []sip.Method{sip.INVITE, sip.ACK, sip.BYE}; !slices.Equal(got, want) {
				t.Errorf("%s: the callee got %v, want %v", contact, got, want)
			}
			stream.check(t, "caller", "", true)
		})
	}
}

// An answer that a stream can do nothing with, because it has only the tones of
// keys, say: the stream refuses it, and the call ends with ACK and BYE.
func TestUselessAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := siptest.NewNetwork(nil)
		var got []sip.Method
		newPeer(t, n, "192.0.2.2", func(tx *transaction.Server, req *sip.Request) {
			got = append(got, req.Method())
			if req.Method() != sip.ACK {
				tx.Reply(sip.StatusOK, contactAt("192.0.2.2"), describe("192.0.2.2", 1, "audio 5000 RTP/AVP 0"))
			}
		})
		alice := newAgent(t, n, "192.0.2.1", "sip:alice@a.example", ua.Config{})
		stream, useless := newStream(t), errors.New("no codec in common")
		stream.onUpdate = func(context.Context) error { return useless }
		if _, err := alice.Invite(t.Context(), bobURI, streams(stream)); !errors.Is(err, useless) {
			t.Errorf("Invite() = %v, want the stream's error", err)
		}
		synctest.Wait()
		if want := []sip.Method{sip.INVITE, sip.ACK, sip.BYE}; !slices.Equal(got, want) {
			t.Errorf("the callee got %v, want %v", got, want)
		}
		stream.told()
		stream.check(t, "caller", "", true)
	})
}
