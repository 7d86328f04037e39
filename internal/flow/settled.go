package flow

import (
	"fmt"
	"slices"
	"time"

	"github.com/goparley/parley/sip"
)

// settled returns what is left open at the end, by what has arrived. Those who are
// silent owe nothing.
func settled(messages []*message, silent []string) (faults []string) {
	faults = append(faults, answered(messages, silent)...)
	faults = append(faults, acknowledged(messages)...)
	return append(faults, hungUp(messages)...)
}

// answered checks that each request has a final response, at each hop.
func answered(messages []*message, silent []string) (faults []string) {
	type hop struct {
		client, branch string
		method         sip.Method
	}
	done := map[hop]bool{}
	for _, m := range messages {
		if m.isFinal() && !m.lost {
			done[hop{m.to, m.msg.Via().Branch(), m.msg.CSeq().Method}] = true
		}
	}
	last := map[hop]time.Time{}
	for _, m := range messages {
		if m.isRequest() {
			last[hop{m.from, m.msg.Via().Branch(), m.method}] = m.at
		}
	}
	byes, over := firstByes(messages), lastNotifies(messages)
	for _, m := range messages {
		if h := (hop{m.from, m.msg.Via().Branch(), m.method}); m.isRequest() && m.method != sip.ACK && !done[h] && !slices.Contains(silent, m.to) {
			done[h] = true // said
			switch e := (end{m.msg.CallID(), m.msg.From().Tag()}); {
			case m.method == sip.INVITE && byes.meet(e, last[h]), m.method == sip.SUBSCRIBE && (over[e] || unsubscribes(m)):
				continue
			}
			faults = append(faults, fmt.Sprintf("%s at %v has no final response", m, m.at.Sub(messages[0].at).Round(time.Millisecond)))
		}
	}
	return faults
}

// An end is one side of a call.
type end struct {
	callID, tag string
}

// unsubscribes reports whether somebody ends a subscription, and does not wait for long to hear
// that it worked: the next NOTIFY gets 481.
func unsubscribes(m *message) bool {
	expires, err := sip.Get[sip.Expires](m.msg)
	return err == nil && expires == 0 && m.msg.To().Tag() != ""
}

// lastNotifies are the subscribers who have heard that a subscription is over. They need not ask
// again for the response to a SUBSCRIBE, which that NOTIFY stands for (RFC 6665 section 4.1.2.4).
func lastNotifies(messages []*message) map[end]bool {
	over := map[end]bool{}
	for _, m := range messages {
		if state, err := sip.Get[sip.SubscriptionState](m.msg); m.isRequest() && !m.lost && err == nil && state.State == "terminated" {
			over[end{m.msg.CallID(), m.msg.To().Tag()}] = true
		}
	}
	return over
}

// byes are when the first BYE was sent of each side of a call, of those that arrived.
type byes map[end]time.Time

func firstByes(messages []*message) byes {
	b := byes{}
	for _, m := range messages {
		if !m.isRequest() || m.method != sip.BYE || m.lost {
			continue
		}
		for _, e := range []end{{m.msg.CallID(), m.msg.To().Tag()}, {m.msg.CallID(), m.msg.From().Tag()}} {
			if b[e].IsZero() {
				b[e] = m.at
			}
		}
	}
	return b
}

// meet reports whether the BYE of a call meets an INVITE of it, or its 2xx, that was sent at a
// time for the last time: before it is sent again, after 4 s at most. Then the call is over, and
// nobody has to go on with what is lost.
func (b byes) meet(e end, last time.Time) bool {
	return !b[e].IsZero() && b[e].Sub(last) < 4*time.Second
}

// acknowledged checks that who answers an INVITE with a 2xx gets the ACK.
func acknowledged(messages []*message) (faults []string) {
	type answer struct {
		end
		seq uint32
	}
	answerOf := func(m *message) answer { return answer{end{m.msg.CallID(), m.msg.To().Tag()}, m.msg.CSeq().Seq} }
	by := map[answer]string{} // who it is of
	last := map[answer]time.Time{}
	done := map[answer]bool{}
	byes := firstByes(messages)
	for _, m := range messages {
		switch a := answerOf(m); {
		case m.isSuccess() && m.method == sip.INVITE:
			if by[a] == "" {
				by[a] = m.from
			}
			if by[a] == m.from {
				last[a] = m.at
			}
		case m.isRequest() && m.method == sip.ACK && !m.lost && m.to == by[a]:
			done[a] = true
		}
	}
	for _, m := range messages {
		if a := answerOf(m); m.isSuccess() && m.method == sip.INVITE && !done[a] {
			done[a] = true // said
			if byes.meet(a.end, last[a]) {
				continue
			}
			faults = append(faults, fmt.Sprintf("%s has no ACK for the 2xx with CSeq %d", by[a], a.seq))
		}
	}
	return faults
}

// hungUp checks that each call that was answered is over.
func hungUp(messages []*message) (faults []string) {
	over := map[end]bool{}
	for _, m := range messages {
		if m.isRequest() && m.method == sip.BYE && !m.lost {
			over[end{m.msg.CallID(), m.msg.To().Tag()}] = true
			over[end{m.msg.CallID(), m.msg.From().Tag()}] = true
		}
	}
	for _, m := range messages {
		if e := (end{m.msg.CallID(), m.msg.To().Tag()}); m.isSuccess() && m.method == sip.INVITE && !over[e] {
			over[e] = true // said
			faults = append(faults, fmt.Sprintf("the call that %s has answered has no BYE", m.from))
		}
	}
	return faults
}
