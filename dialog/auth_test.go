package dialog_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
)

// password answers every challenge with the nonce that it names, up to a number
// of times.
type password struct{ tries int }

var errWrongPassword = errors.New("wrong password")

func (p *password) Prepare(req *sip.Request) *sip.Request { return req }

func (p *password) Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
	if p.tries--; p.tries < 0 {
		return nil, errWrongPassword
	}
	nonce, _ := resp.Value("Proxy-Authenticate")
	return req.With(sip.Field{Name: "Proxy-Authorization", Value: nonce}), nil
}

func challenge(nonce string) sip.Edit {
	return sip.Field{Name: "Proxy-Authenticate", Value: `Digest realm="b", nonce="` + nonce + `"`}
}

// credentials returns the Proxy-Authorization of a message.
func credentials(m sip.Message) string {
	v, _ := m.Value("Proxy-Authorization")
	return v
}

// A challenged INVITE: the 407 gets its ACK, the next INVITE has credentials and
// the next number, and so do the ACK of its 200 and a challenged BYE (RFC 3261
// sections 13.2.2.4 and 22.1). Numbers in the call go on from there.
func TestChallenges(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 3}})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		first := p.expect("INVITE 1")
		p.reply(first, sip.StatusProxyAuthRequired, challenge("one"))
		p.expect("ACK 1")
		second := p.expect("INVITE 2")
		if a, b := first.Message, second.Message; a.CallID() != b.CallID() || a.From().Tag() != b.From().Tag() {
			t.Error("Call-ID or tag changed with the credentials")
		}
		ok := p.reply(second, sip.StatusOK, p.contact())
		s := <-result
		ack := p.expect("ACK 2").Message
		if got, want := credentials(ack), `Digest realm="b", nonce="one"`; got != want {
			t.Errorf("the ACK has the credentials %q, want %q", got, want)
		}
		p.respond(second, ok)
		if got := p.expect("ACK 2").Message.String(); got != ack.String() {
			t.Errorf("the ACK is\n%s\nwant\n%s", got, ack)
		}

		go func() { // ends with the answer
			s.Invite(t.Context())
			s.Ack(t.Context())
			s.Bye(t.Context())
		}()
		p.reply(p.expect("INVITE 3"), sip.StatusProxyAuthRequired, challenge("two"))
		p.expect("ACK 3")
		p.reply(p.expect("INVITE 4"), sip.StatusOK, p.contact())
		if got, want := credentials(p.expect("ACK 4").Message), `Digest realm="b", nonce="two"`; got != want {
			t.Errorf("the ACK has the credentials %q, want %q", got, want)
		}
		p.reply(p.expect("BYE 5"), sip.StatusProxyAuthRequired, challenge("three"))
		bye := p.expect("BYE 6")
		if got, want := credentials(bye.Message), `Digest realm="b", nonce="three"`; got != want {
			t.Errorf("the BYE has the credentials %q, want %q", got, want)
		}
		p.reply(bye, sip.StatusOK)
		time.Sleep(time.Minute)
		wantEmpty(t, alice)
	})
}

// The surplus answer of a fork is acknowledged with the credentials, too, and
// its BYE counts on from the INVITE that was answered.
func TestSurplusAnswerAfterChallenge(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 1}})
		result := make(chan *dialog.Session, 1)
		go func() { result <- call(t, alice, "sip:bob@"+bobAddr, "1") }() // ends with the answer
		p.reply(p.expect("INVITE 1"), sip.StatusProxyAuthRequired, challenge("one"))
		p.expect("ACK 1")
		invite := p.expect("INVITE 2")
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "one"))
		<-result
		p.expect("ACK 2")
		p.reply(invite, sip.StatusOK, p.contact(), tagged(invite.Message, "two"))
		if got := credentials(p.expect("ACK 2").Message); got == "" {
			t.Error("the ACK of the surplus answer has no credentials")
		}
		p.reply(p.expect("BYE 3"), sip.StatusOK)
	})
}

// A peer that challenges for ever gets an end, and so does one whose challenge
// cannot be answered.
func TestEndlessChallenges(t *testing.T) {
	for tries, want := range map[int]int{1000: 6, 0: 1, 2: 3} {
		story(t, func(t *testing.T, n *siptest.Network) {
			p := newPeer(t, n, bobAddr)
			alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: tries}})
			type result struct {
				resp *sip.Response
				err  error
			}
			results := make(chan result, 1)
			go func() { // ends with the last 407
				_, resp, err := alice.Invite(t.Context(), newInvite(t, "sip:bob@"+bobAddr, "1"), nil)
				results <- result{resp, err}
			}()
			for i := range want {
				p.reply(p.expect(summaryOf(sip.INVITE, i+1)), sip.StatusProxyAuthRequired, challenge("n"))
				p.expect(summaryOf(sip.ACK, i+1))
			}
			r := <-results
			if r.resp.Status() != sip.StatusProxyAuthRequired {
				t.Errorf("the answer is %v, want 407", r.resp.Status())
			}
			if failed := errors.Is(r.err, errWrongPassword); failed != (tries < 6) {
				t.Errorf("Invite() = %v", r.err)
			}
			p.silent(time.Minute)
		})
	}
}

// Without an Authorizer a challenge is a refusal, and outside of a dialog the
// number goes up with the credentials.
func TestDoOutsideDialog(t *testing.T) {
	story(t, func(t *testing.T, n *siptest.Network) {
		p := newPeer(t, n, bobAddr)
		alice := newLayer(t, n, aliceAddr, &dialog.Config{Auth: &password{tries: 1}})
		carol := newLayer(t, n, carolAddr, nil)
		options := newInvite(t, "sip:bob@"+bobAddr, "1")
		options = sip.NewRequest(sip.OPTIONS, options.URI(), sip.MaxForwards(70), options.From(), options.To(),
			sip.CallID("1"), sip.CSeq{Seq: 41, Method: sip.OPTIONS})
		var got []sip.Status
		for _, l := range []*dialog.Layer{alice, carol} {
			done := make(chan bool)
			go func() { // ends with the answer
				resp, err := l.Do(t.Context(), options)
				if err != nil {
					t.Error(err)
				}
				got = append(got, resp.Status())
				close(done)
			}()
			p.reply(p.expect("OPTIONS 41"), sip.StatusProxyAuthRequired, challenge("one"))
			if l == alice {
				p.reply(p.expect("OPTIONS 42"), sip.StatusOK)
			}
			<-done
		}
		if want := []sip.Status{sip.StatusOK, sip.StatusProxyAuthRequired}; !slices.Equal(got, want) {
			t.Errorf("the answers are %v, want %v", got, want)
		}
	})
}
