package transport

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// A token has 128 bits that nobody can guess: a part of them is no signature.
func TestFlowTokenSignature(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(&Config{FlowKey: flowKey})
		s.peerSocket(s.alice, aliceAddr).send(message(options), bobAddr)
		udp := s.one(e).Flow
		s.dial(s.alice, bobAddr).send(message(options, tcpVia))
		tcp := s.one(e).Flow
		for _, c := range []struct {
			flow Flow
			says int // a letter and two addresses with their lengths; a letter, 8 bytes of the run and 8 of the number
		}{{udp, 1 + 2*(1+4+2)}, {tcp, 1 + 8 + 8}} {
			token := e.FlowToken(c.flow)
			b, err := base64.RawURLEncoding.DecodeString(token)
			if err != nil {
				t.Fatal(err)
			}
			if got := len(b); got != 16+c.says {
				t.Fatalf("the token of %v has %d bytes, want a signature of 16 and %d that are signed", c.flow, got, c.says)
			}
			for _, n := range []int{0, 4, 8, 12, 15} {
				short := base64.RawURLEncoding.EncodeToString(append(b[:n:n], b[16:]...))
				if flow, err := e.FlowOf(short); !errors.Is(err, ErrToken) {
					t.Errorf("with %d bytes of its signature a token leads to %v, %v, want ErrToken", n, flow, err)
				}
			}
		}
	})
}

// The longest token that there can be, of two addresses with zones, is read. What
// is longer than any is not looked at, so that a user part of a megabyte costs
// nothing.
func TestFlowTokenLength(t *testing.T) {
	play(t, nil, func(s *scene) {
		e := s.listen(nil)
		const zone = "%enp175s0f0np0v1" // 15 characters, as Linux allows
		e.udp[0].local = netip.MustParseAddrPort("[fe80::ffff:ffff:ffff:1" + zone + "]:65535")
		flow := Flow{via: e.udp[0], remote: netip.MustParseAddrPort("[fe80::ffff:ffff:ffff:2" + zone + "]:65535")}
		token := e.FlowToken(flow)
		if got, err := e.FlowOf(token); err != nil || got != flow || len(token) > 128 {
			t.Errorf("FlowOf of %d characters = %v, %v, want %v", len(token), got, err, flow)
		}
		long := strings.Repeat("A", 1<<20)
		if got := testing.AllocsPerRun(10, func() {
			if _, err := e.FlowOf(long); !errors.Is(err, ErrToken) {
				t.Errorf("FlowOf of a megabyte: %v, want ErrToken", err)
			}
		}); got != 0 {
			t.Errorf("a token of a megabyte takes %v allocations, want none", got)
		}
	})
}
