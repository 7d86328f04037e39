package transaction

import (
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/sip/transport"
)

// A program that has its answer closes the layer where it is told of it: on the
// goroutine that has read the response, that of a timer, or that of a connection
// which has ended. Others who close it do not wait for ever either.
func TestStartThatCloses(t *testing.T) {
	const mute = "192.0.2.9"
	for _, test := range []struct{ name, uri, want string }{
		{"response by UDP", bobURI, "200"},
		{"response by TCP", bobURI + ";transport=tcp", "200"},
		{"timer", "sip:" + mute, "timed out"},
		{"end of a connection", "sip:" + mute + ";transport=tcp", "transport failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				silent := n.Host(mute)
				silent.ListenPacket(t.Context(), "udp", ":5060")
				silent.Listen(t.Context(), "tcp", ":5060")
				listen(t, n.Host(bobAddr), &Config{Handler: answer(200)})
				alice := listen(t, n.Host(aliceAddr), nil)
				var j journal
				alice.Start(t.Context(), request(sip.INVITE, test.uri), func(resp *sip.Response, err error) {
					switch {
					case errors.Is(err, ErrTimeout):
						j.note("timed out")
					case errors.Is(err, ErrTransport):
						j.note("transport failed")
					case err != nil:
						t.Error(err)
					default:
						j.note("%d", int(resp.Status()))
					}
					if err := alice.Close(); err != nil {
						t.Errorf("Close = %v", err)
					}
				})
				pass(time.Millisecond)
				if test.name == "end of a connection" {
					n.Host(aliceAddr).Reset()
				}
				pass(time.Minute)
				if err := alice.Close(); err != nil {
					t.Errorf("Close by another = %v", err)
				}
				j.check(t, test.want)
			})
		})
	}
}

// So may the other funcs of a Config that are called for what arrives.
func TestConfigThatCloses(t *testing.T) {
	for _, name := range []string{"Accepted", "Stateless", "Handler"} {
		t.Run(name, func(t *testing.T) {
			story(t, func(t *testing.T, n *siptest.Network) {
				var l *Layer
				closed := make(chan error, 1)
				cfg := &Config{}
				switch name {
				case "Accepted":
					cfg.Accepted = func(*sip.Request, *sip.Response) { closed <- l.Close() }
				case "Stateless":
					cfg.Stateless = func(in *transport.Inbound) bool {
						if in.Message.Via().Branch() == "z9hG4bKrequest" {
							closed <- l.Close()
						}
						return false
					}
				case "Handler":
					cfg.Handler = func(*Server, *sip.Request) { closed <- l.Close() }
				}
				l = listen(t, n.Host(aliceAddr), cfg)
				bob := bobPeer(t, n)
				go l.Do(t.Context(), request(sip.INVITE, bobURI))
				invite := bob.request(sip.INVITE)
				bob.send(reply(invite, 200, "b"), reply(invite, 200, "b"))
				bob.send(bob.with("z9hG4bKrequest", request(sip.OPTIONS, "sip:"+aliceAddr)))
				if err := <-closed; err != nil {
					t.Errorf("Close = %v", err)
				}
				if err := l.Close(); err != nil {
					t.Errorf("Close by another = %v", err)
				}
			})
		})
	}
}
