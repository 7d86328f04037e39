package ua_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/siptest"
	"github.com/goparley/parley/ua"
)

// Bob plays an announcement before he answers, with a reliable 183. The network loses
// it, and then the first PRACK: both come again. What the RFC says in sections 3 and 4
// has no figure.
func TestFlow3262(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3262, Section: "3", Title: "UAS Behavior, with loss",
		Cast: []flow.Actor{flow.Alice, flow.Bob},
		Show: reliableFields,
		Play: func(f *flow.Flow) {
			if !f.Lossy() {
				f.Net.SetFilter(loseFirst("SIP/2.0 183", "PRACK"))
			}
			alice, bob := newPhone(f, flow.Alice, ua.Config{}), newPhone(f, flow.Bob, ua.Config{})
			var heard []string
			f.Note("Alice calls Bob.")
			call := alice.placeWith(flow.Bob.AOR, &ua.InviteOptions{
				Header:        []sip.Edit{sip.Require{sip.Option100rel}},
				OnProvisional: func(_ *ua.Call, resp *sip.Response) { heard = append(heard, resp.ReasonPhrase()) },
			})
			in := bob.invited()
			f.Note("Bob has an announcement.")
			in.progress()
			f.Pass(5 * time.Second)
			f.Note("His phone rings.")
			in.ring()
			f.Pass(2 * time.Second)
			f.Note("Bob answers.")
			theirs := in.answer()
			ours := call.answered()
			if got, want := strings.Join(heard, ", "), "Session Progress, Ringing"; got != want {
				f.Errorf("Alice hears of %s, want %s", got, want)
			}
			f.Pass(10 * time.Second)
			f.Note("Alice hangs up.")
			hangup(f, ours, theirs)
		},
	})
}

// loseFirst loses the first datagram that begins with each of these.
func loseFirst(begins ...string) func(siptest.Packet) siptest.Verdict {
	lost := map[string]bool{}
	return func(p siptest.Packet) siptest.Verdict {
		for _, text := range begins {
			if !lost[text] && strings.HasPrefix(string(p.Data), text) {
				lost[text] = true
				return siptest.Verdict{Drop: true}
			}
		}
		return siptest.Verdict{}
	}
}
