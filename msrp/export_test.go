package msrp

import (
	"fmt"
	"net"
)

// SetResolver has an endpoint resolve names otherwise.
func (e *Endpoint) SetResolver(r *net.Resolver) { e.resolver = r }

// CheckHeld returns what is wrong with what a session holds of messages: that it is more than the bounds say, or counted
// as something else.
func (s *Session) CheckHeld() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	parked, all := 0, map[*Incoming]bool{}
	for _, m := range s.arrived {
		all[m] = true
		parked += m.unread() + m.held
	}
	for _, m := range s.incoming {
		all[m] = true
	}
	for _, l := range []*leg{s.current, s.next} {
		if l == nil {
			continue
		}
		for _, cl := range l.claims {
			bytes := 0
			for _, m := range cl.messages {
				all[m] = true
				bytes += m.unread() + m.held
			}
			if bytes != cl.bytes || bytes > claimSize || len(cl.messages) > maxClaimed {
				return fmt.Errorf("a claim has %d messages and %d bytes, counted as %d", len(cl.messages), bytes, cl.bytes)
			}
		}
	}
	for m := range all {
		ahead := 0
		for _, p := range m.ahead {
			ahead += len(p.data)
		}
		if m.unread() > s.window || ahead != m.held || ahead > s.window || len(m.ahead) > 256 {
			return fmt.Errorf("message %s: %d bytes wait, and %d in %d pieces that came early, counted as %d", m.ID, m.unread(), ahead, len(m.ahead), m.held)
		}
	}
	if parked != s.parked || parked > maxParked+window {
		return fmt.Errorf("%d bytes in messages that nobody has asked for, counted as %d", parked, s.parked)
	}
	if len(s.incoming) > maxIncoming+maxClaimed || len(s.arrived) > maxArrived+maxClaimed || len(s.done) > maxDone {
		return fmt.Errorf("%d messages are not complete, %d are not asked for, %d are remembered", len(s.incoming), len(s.arrived), len(s.done))
	}
	return nil
}
