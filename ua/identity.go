package ua

import (
	"slices"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
)

// maxAsserted bounds the identities of a caller. There is a sip or sips URI, a tel URI,
// or both (RFC 3325 section 9.1).
const maxAsserted = 2

// Asserted returns who the network says is calling (P-Asserted-Identity, RFC 3325): nil
// if it does not say, or if the INVITE came from nobody whose word is taken, as
// Config.Trusts has it. From is what callers say themselves.
func (in *Invitation) Asserted() []sip.Address {
	return in.a.asserted(in.in.Flow(), in.in.Request())
}

// Asserted returns who the network says has sent the request, as that of an Invitation
// does.
func (r *Request) Asserted() []sip.Address {
	return r.a.asserted(r.tx.Flow(), r.Request)
}

// asserted returns the identities in a request that came by a flow. Those of others
// must not be used in any way (RFC 3325 section 8).
func (a *Agent) asserted(f transport.Flow, req *sip.Request) (all []sip.Address) {
	if !a.trusts(f) {
		return nil
	}
	for h, err := range sip.All[sip.PAssertedIdentity](req) {
		if err != nil {
			return nil
		}
		if all = append(all, sip.Address(h)); len(all) == maxAsserted {
			break
		}
	}
	return all
}

// trusts reports whether a flow comes from a proxy of ours.
func (a *Agent) trusts(f transport.Flow) bool {
	if a.cfg.Trusts != nil {
		return a.cfg.Trusts(f)
	}
	return slices.ContainsFunc(f.Identities(), a.isOwn)
}

// isOwn reports whether a host is that of the agent's domain or proxy.
func (a *Agent) isOwn(host string) bool {
	host = hostOf(sip.URI{Host: host})
	return host == hostOf(a.aor) || a.proxy.Host != "" && host == hostOf(a.proxy)
}

// preferring returns a request without its P-Preferred-Identity, if it goes to
// somebody else than a proxy of ours (RFC 3325 section 6).
func (a *Agent) preferring(req *sip.Request) *sip.Request {
	if _, ok := req.Value("P-Preferred-Identity"); !ok {
		return req
	}
	if _, routed := req.Value("Route"); routed || a.isOwn(hostOf(req.URI())) {
		return req
	}
	return req.With(sip.Del("P-Preferred-Identity"))
}

// anonymousHost is that of a From that tells nothing (RFC 3323 section 4.1.1.3).
const anonymousHost = "anonymous.invalid"

// anonymous returns what hides who is calling, as far as we can (RFC 3323 section 4.1):
// no name, no address of record, and no program; and what has the network keep to
// itself who it knows to be calling (RFC 3325 section 9.3).
func anonymous() []sip.Edit {
	return []sip.Edit{
		sip.From{Display: "Anonymous", URI: sip.URI{Scheme: "sip", User: "anonymous", Host: anonymousHost}},
		sip.Privacy{"id"},
		sip.Del("User-Agent"),
	}
}

// keepID returns the request of an anonymous caller with "id" in its Privacy, if the program
// has written one: all that is wanted has to be there (RFC 3325 section 9.3). That of "none",
// which stands alone, stays (RFC 3323 section 4.2).
func keepID(req *sip.Request) *sip.Request {
	privacy, err := sip.Get[sip.Privacy](req)
	if err != nil || slices.ContainsFunc(privacy, func(v string) bool { return strings.EqualFold(v, "id") || strings.EqualFold(v, "none") }) {
		return req
	}
	return req.With(append(privacy, "id"))
}

// isAnonymous reports whether a URI of ours is the one that tells nothing.
func isAnonymous(uri sip.URI) bool { return uri.Host == anonymousHost }
