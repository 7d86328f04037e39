package digest

import (
	"hash/maphash"
	"slices"
	"strconv"
	"strings"
	"sync"

	shared "github.com/goparley/parley/internal/digest"
	"github.com/goparley/parley/sip"
)

// Limits of a client.
const (
	maxTries    = 4    // answers to challenges for one realm and request: one, and three to stale nonces
	maxRealms   = 8    // credentials in one request
	maxSessions = 32   // realms that are remembered, twice as many at most
	maxScopes   = 8192 // dialogs and destinations that are remembered, likewise
	maxAnswers  = 1024 // credentials that may be in flight, likewise
)

// Credentials are a user name and password.
type Credentials struct {
	Username string
	Password string

	// Realm is the one realm they are for. "" is any realm that challenges a
	// request outside a dialog; inside a dialog it is a realm that challenged
	// one outside before. Whoever challenges gets to see a digest of the
	// password and can try words against it, so name the realm where it is
	// known. Credentials for the realm come before those for any.
	Realm string
}

// Client answers challenges and remembers them. One client is enough for a
// user agent; it may be used by many goroutines. What it remembers is bounded.
type Client struct {
	credentials []Credentials
	seed        maphash.Seed

	mu       sync.Mutex
	sessions shared.Recent[*session] // by space
	scopes   shared.Recent[struct{}] // what the credentials for a space go with
	answers  shared.Recent[answer]   // by response
}

// space is a protection space: in SIP the realm alone defines it (RFC 3261
// section 22.1), but a proxy and a user agent server may share its name.
type space struct {
	proxy bool
	realm string
}

// answer is how credentials that were sent came about. Only Authorize and
// Prepare make them, so it says how a request was treated so far.
type answer struct {
	tries uint8 // how many challenges for the realm this request has answered
	fresh bool  // made for a nonce that had just been received
}

// NewClient returns a client with these credentials. More may be given, for
// several realms.
func NewClient(credentials ...Credentials) *Client {
	return &Client{
		credentials: append([]Credentials(nil), credentials...),
		seed:        maphash.MakeSeed(),
		sessions:    shared.NewRecent[*session](maxSessions),
		scopes:      shared.NewRecent[struct{}](maxScopes),
		answers:     shared.NewRecent[answer](maxAnswers),
	}
}

// Authorize takes a request and the 401 or 407 that answered it, and returns
// the request with credentials for the realms that challenged it. The caller
// gives it a higher CSeq and a new branch and sends it (RFC 3261 section 22.2);
// if that is challenged too, the request as it was sent goes into Authorize
// again.
//
// Of several challenges for one realm it answers the topmost one with a SHA-2
// algorithm, and one with MD5 only if there is no other (RFC 8760 section 2.4
// leaves preferring strength to local policy). Challenges that it does not
// understand, and realms that it has no credentials for, are passed over as
// long as another one can be answered.
//
// It ends by itself, whatever the other side does. The error is an *Error that
// wraps ErrRefused for a wrong password, ErrNoCredentials, ErrUnsupported,
// ErrUnexpectedRealm or ErrTooManyChallenges; or it is that of a user name
// that cannot stand in a message. Credentials that this client has not made,
// or has forgotten after thousands of others, count as refused for good.
func (c *Client) Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
	challenges, err := readChallenges(resp)
	if err != nil {
		return nil, err
	}
	given, err := c.answer(req, readGiven(req), challenges)
	if err != nil {
		return nil, err
	}
	return write(req, given)
}

// answer makes the credentials that a challenged request carries next.
func (c *Client) answer(req *sip.Request, given []credential, challenges []challenge) ([]credential, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var passed error
	answered := 0
	for _, ch := range challenges {
		cred, err := c.find(ch.realm, req.To().Tag() != "")
		if err != nil {
			if passed == nil {
				passed = &Error{ch.realm, err}
			}
			continue
		}
		g := find(given, ch.space)
		a := answer{tries: 1, fresh: true}
		if g == nil {
			given = append(given, credential{space: ch.space, digest: true})
			g = &given[len(given)-1]
		} else if g.p.Nonce != "" { // RFC 8760 section 2.7: may be empty before the first challenge
			if a, err = c.again(ch, &g.p); err != nil {
				if s := c.session(ch.space); s != nil && s.nonce == g.p.Nonce {
					s.refused = true
				}
				return nil, &Error{ch.realm, err}
			}
		}
		g.session, g.answer = c.begin(ch, cred), a
		c.scope(req, ch.space)
		answered++
	}
	if answered == 0 {
		return nil, passed
	}
	if len(given) > maxRealms {
		return nil, &Error{challenges[0].realm, ErrTooManyChallenges}
	}
	// Who was satisfied before must not see a nonce count twice.
	for i := range given {
		g := &given[i]
		if g.session != nil {
			continue
		}
		if a, ours := c.answers.Get(answerKey(g.p.Response)); ours {
			g.session = c.session(g.space)
			g.answer = answer{tries: a.tries}
		}
	}
	c.authorize(req, given)
	return given, nil
}

// again decides whether credentials that were refused may be followed by
// others. RFC 3261 section 22.1: not by the same, unless the nonce was stale.
func (c *Client) again(ch challenge, old *sip.DigestCredentials) (answer, error) {
	a, ok := c.answers.Get(answerKey(old.Response))
	if !ok {
		a = answer{tries: maxTries, fresh: true}
	}
	switch {
	case !ch.p.Stale && (a.fresh || old.Nonce == ch.p.Nonce):
		return answer{}, ErrRefused
	case a.tries >= maxTries:
		return answer{}, ErrTooManyChallenges
	}
	return answer{a.tries + 1, true}, nil
}

// Prepare returns the request with credentials that save it a challenge, if
// there are any. Outside of a dialog these are those for realms that challenged an
// earlier request that went the same way: to the same first hop, and, as a user
// agent server, for the same To, or, as a proxy, for the same host in the
// Request-URI (RFC 3261 sections 22.2 and 22.3). So every refresh goes out with
// them, and so does the next call to a domain.
//
// Within a dialog the peer has written where requests go, and To. There it is those for
// realms that the request of ours that began the dialog had credentials for, or that
// challenged one within it that went to the same first hop. Requests that go
// elsewhere have none, whether or not the Credentials name a realm. A dialog is known by its
// Call-ID and our tag: the client does not see that a call was redirected, so whoever follows
// that with the same ones decides whether it is asked at all.
//
// ACK and CANCEL cannot be challenged (RFC 3261 section 22.1). An ACK that has the
// credentials of its INVITE, see CopyCredentials, loses those that another request in
// its place would not have.
func (c *Client) Prepare(req *sip.Request) *sip.Request {
	switch req.Method() {
	case sip.ACK:
		return c.prepareAck(req)
	case sip.CANCEL:
		return req
	}
	given := c.prepare(req)
	if given == nil {
		return req
	}
	out, err := write(req, given)
	if err != nil {
		return req
	}
	return out
}

// prepareAck returns an ACK with those credentials alone that may go where it goes.
func (c *Client) prepareAck(ack *sip.Request) *sip.Request {
	given := readGiven(ack)
	n := len(given)
	c.mu.Lock()
	given = slices.DeleteFunc(given, func(g credential) bool {
		_, ours := c.answers.Get(answerKey(g.p.Response))
		return ours && !c.inScope(ack, g.space)
	})
	c.mu.Unlock()
	if len(given) == n {
		return ack
	}
	out, err := write(ack, given)
	if err != nil {
		return ack.With(sip.Del("Authorization"), sip.Del("Proxy-Authorization"))
	}
	return out
}

// prepare makes the credentials that a request carries from the start, nil for
// none.
func (c *Client) prepare(req *sip.Request) []credential {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ready []*session
	for s := range c.sessions.All() {
		if !s.refused && c.inScope(req, s.space) {
			ready = append(ready, s)
		}
	}
	if ready == nil {
		return nil
	}
	given := readGiven(req)
	for _, s := range ready {
		g := find(given, s.space)
		if g == nil {
			if len(given) >= maxRealms {
				continue
			}
			given = append(given, credential{space: s.space, digest: true})
			g = &given[len(given)-1]
		}
		g.session, g.answer = s, answer{tries: 1}
		if begins(req) {
			c.scopes.Put(c.callScope(req, s.space, ""), struct{}{})
		}
	}
	c.authorize(req, given)
	return given
}

// find returns the credentials for a realm.
func (c *Client) find(realm string, inDialog bool) (cred *Credentials, err error) {
	for i := range c.credentials {
		switch c.credentials[i].Realm {
		case "":
			if cred == nil {
				cred = &c.credentials[i]
			}
		case realm:
			return &c.credentials[i], nil
		}
	}
	if cred == nil {
		return nil, ErrNoCredentials
	}
	if inDialog && c.session(space{true, realm}) == nil && c.session(space{false, realm}) == nil {
		return nil, ErrUnexpectedRealm
	}
	return cred, nil
}

// session returns the session of a space, nil if there is none.
func (c *Client) session(sp space) *session {
	s, _ := c.sessions.Get(c.spaceKey(sp))
	if s == nil || s.space != sp {
		return nil
	}
	return s
}

func (c *Client) spaceKey(s space) uint64 { return maphash.Comparable(c.seed, s) }

// authorize makes the credentials that have a session.
func (c *Client) authorize(req *sip.Request, given []credential) {
	for i := range given {
		g := &given[i]
		if g.session == nil {
			continue
		}
		g.p = g.session.authorize(req)
		g.text = g.p.Challenge()
		c.answers.Put(answerKey(g.p.Response), g.answer)
		c.sessions.Put(c.spaceKey(g.space), g.session)
	}
}

// scope remembers what later requests a realm's credentials are for.
func (c *Client) scope(req *sip.Request, s space) {
	if req.To().Tag() != "" {
		c.scopes.Put(c.callScope(req, s, hopOf(req)), struct{}{})
		return
	}
	c.scopes.Put(c.callScope(req, s, ""), struct{}{})
	c.scopes.Put(c.wayScope(req, s), struct{}{})
}

func (c *Client) inScope(req *sip.Request, s space) bool {
	if req.To().Tag() == "" {
		return c.isScope(c.wayScope(req, s))
	}
	return c.isScope(c.callScope(req, s, "")) || c.isScope(c.callScope(req, s, hopOf(req)))
}

// begins reports whether a request may begin a dialog.
func begins(req *sip.Request) bool {
	m := req.Method()
	return req.To().Tag() == "" && (m == sip.INVITE || m == sip.SUBSCRIBE || m == sip.REFER)
}

func (c *Client) isScope(key uint64) bool {
	_, ok := c.scopes.Get(key)
	if ok {
		c.scopes.Put(key, struct{}{})
	}
	return ok
}

// callScope is that of the dialog that a request is in, or begins: with our tag, which
// the peer has not chosen. hop is "" if the dialog began with a challenge.
func (c *Client) callScope(req *sip.Request, s space, hop string) uint64 {
	return maphash.Comparable(c.seed, struct {
		space
		callID, tag, hop string
	}{s, req.CallID(), req.From().Tag(), hop})
}

// wayScope is that of requests that go by the server of a space, whatever their
// Call-ID: to a user agent server those for its user, to a proxy those for the same
// domain. A proxy behind the first one may be there for one domain alone.
func (c *Client) wayScope(req *sip.Request, s space) uint64 {
	to := sip.URI{Host: req.URI().Host}
	if !s.proxy {
		to = req.To().URI
	}
	return maphash.Comparable(c.seed, struct {
		space
		hop, scheme, user, host, opaque string
	}{s, hopOf(req), to.Scheme, to.User, strings.ToLower(to.Host), to.Opaque})
}

// hopOf returns where a request goes first.
func hopOf(req *sip.Request) string {
	uri := req.URI()
	if route, err := sip.Get[sip.Route](req); err == nil {
		uri = route.URI
	}
	hop := uri.HostPort()
	if maddr, ok := uri.Params.Get("maddr"); ok { // it wins (RFC 3261 section 19.1.1)
		hop += ";" + maddr
	}
	return strings.ToLower(hop)
}

// answerKey identifies credentials by their response, which is a hash already.
func answerKey(response string) uint64 {
	n, _ := strconv.ParseUint(response[:min(len(response), 16)], 16, 64)
	return n
}
