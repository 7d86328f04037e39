package proxy

import "github.com/goparley/parley/sip"

// best returns the response that the client is to get, nil if it has got one (RFC
// 3261 section 16.7 steps 6 and 7).
func (f *forking) best() *sip.Response {
	i, status := f.core.best()
	if status == 0 || f.answered {
		return nil
	}
	if status == sip.StatusFlowFailed && !f.relay {
		// It is for those who choose flows, and that was us (RFC 5626 section
		// 11.5).
		return f.s.reply(sip.StatusTemporarilyUnavailable)
	}
	if i < 0 || f.finals[i] == nil {
		return f.s.reply(status)
	}
	resp := f.finals[i]
	if status == sip.StatusUnauthorized || status == sip.StatusProxyAuthRequired {
		// With those of the others, unless there is no room for them.
		if all := f.s.back(resp.With(f.challenges(i)...)); all != nil && all.Err() == nil {
			return all
		}
	}
	if up := f.s.back(resp); up != nil && up.Err() == nil {
		return up
	}
	return f.s.reply(status) // with what cannot be passed on left out
}

// challenges returns those of all other branches, so that the client can answer
// them all at once.
func (f *forking) challenges(best int) []sip.Edit {
	var edits []sip.Edit
	for i, resp := range f.finals {
		status := f.core.branches[i].status
		if i == best || resp == nil || status != sip.StatusUnauthorized && status != sip.StatusProxyAuthRequired {
			continue
		}
		for field := range resp.Fields() {
			if equalFold(field.Name, "WWW-Authenticate") || equalFold(field.Name, "Proxy-Authenticate") {
				edits = append(edits, sip.Add(field))
			}
		}
	}
	return edits
}
