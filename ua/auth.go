package ua

import (
	"errors"
	"iter"
	"slices"
	"sync"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
)

// keys holds the passwords of an agent, and decides who gets to see a digest of
// them. It is the dialog.Authorizer of the agent.
//
// Any server can name any realm (RFC 3261 section 22.1 leaves it to the user to
// know them), and a digest is something to try words against. So what counts is
// where a request goes first, and each of the two clients is asked about a request only if
// its passwords may go there: the password to our own servers, whichever
// realm is named; further ones there, too, and to whom the program itself has named.
type keys struct {
	*servers
	password  *digest.Client // of Config.Password
	others    *digest.Client // of Config.Credentials
	further   []string       // the realms of those
	addressed *addressed     // where those go, too
	domain    string         // the host of the agent's URI
	written   string         // as the program has written that
	named     bool           // Config.Realm is set

	mu     sync.Mutex
	realms []string // of the password
}

// Limits of what is learned: in all, where each REGISTER of a registration keeps what it
// needs, and of one REGISTER.
const (
	maxHomeRealms = 16
	maxTaught     = 4
)

// newKeys returns nil if there are no passwords.
func newKeys(aor sip.URI, s *servers, cfg *Config) (*keys, error) {
	if cfg.Password == "" && len(cfg.Credentials) == 0 {
		return nil, nil
	}
	k := &keys{servers: s, addressed: newAddressed(), domain: hostOf(aor), written: aor.Host, named: cfg.Realm != ""}
	var own []digest.Credentials
	if cfg.Password != "" {
		user := cfg.User
		if user == "" {
			user = aor.Username()
		}
		own = append(own, digest.Credentials{Username: user, Password: cfg.Password, Realm: cfg.Realm})
		if k.named {
			k.realms = []string{cfg.Realm}
		}
	}
	for _, c := range cfg.Credentials {
		if c.Realm == "" || c.Username == "" {
			return nil, errors.New("credentials without a realm or a user name")
		}
		k.further = append(k.further, c.Realm)
	}
	k.password, k.others = digest.NewClient(own...), digest.NewClient(cfg.Credentials...)
	return k, nil
}

// Prepare returns a request with the credentials that will be asked for, if it
// is known which.
func (k *keys) Prepare(req *sip.Request) *sip.Request {
	ours := k.isOurs(req)
	if req.Method() == sip.ACK {
		if ours {
			return req
		}
		return k.others.Prepare(k.withoutPassword(req))
	}
	out := req
	if ours {
		out = k.password.Prepare(out)
	}
	if ours || k.isAddressed(req) {
		out = k.others.Prepare(out)
	}
	if req.Method() == sip.REGISTER && out != req {
		for realm := range credentials(out) {
			if k.isHome(realm) {
				k.learn(realm)
			}
		}
	}
	return out
}

// address notes that a request, and the dialogs that it begins, are for whom the program
// has named. nil is of an agent without secrets.
func (k *keys) address(req *sip.Request) {
	if k != nil && len(k.further) > 0 {
		k.addressed.add(req)
	}
}

// redirected notes that a request goes where somebody else says.
func (k *keys) redirected(req *sip.Request) {
	if k != nil && len(k.further) > 0 {
		k.addressed.remove(req)
	}
}

// isAddressed reports whether a request goes to whom the program has named, or to the peer
// of a dialog that has come of that. Of that dialog digest.Client knows who has asked.
func (k *keys) isAddressed(req *sip.Request) bool {
	return len(k.further) > 0 && k.addressed.has(req)
}

// withoutPassword returns an ACK with those credentials of its INVITE alone that are for
// further realms, if its peer is to see them.
func (k *keys) withoutPassword(ack *sip.Request) *sip.Request {
	edits := []sip.Edit{sip.Del("Authorization"), sip.Del("Proxy-Authorization")}
	named := k.isAddressed(ack)
	for realm, field := range credentials(ack) {
		if named && slices.Contains(k.further, realm) {
			edits = append(edits, field)
		}
	}
	return ack.With(edits...)
}

// credentials yields the credentials of a request: the realm, "" if they have none, and what
// adds the field.
func credentials(req *sip.Request) iter.Seq2[string, sip.Edit] {
	return func(yield func(string, sip.Edit) bool) {
		realm := func(c sip.Challenge) string {
			p, _ := c.Credentials()
			return p.Realm
		}
		for h, err := range sip.All[sip.Authorization](req) {
			if err == nil && !yield(realm(sip.Challenge(h)), sip.Add(h)) {
				return
			}
		}
		for h, err := range sip.All[sip.ProxyAuthorization](req) {
			if err == nil && !yield(realm(sip.Challenge(h)), sip.Add(h)) {
				return
			}
		}
	}
}

// isHome reports whether a realm is one of the password.
func (k *keys) isHome(realm string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Contains(k.realms, realm) && !slices.Contains(k.further, realm)
}

// learn notes a realm of the password.
func (k *keys) learn(realm string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.realms = remember(k.realms, maxHomeRealms, realm)
}

// isDomain reports whether a realm is that of the domain, which is that of the password
// if nothing else is said. Other spellings would be so many realms for whoever is called
// to fill requests with.
func (k *keys) isDomain(realm string) bool {
	return !k.named && (realm == k.domain || realm == k.written)
}

// Authorize returns a request with credentials for those of the challenges that
// may have some.
func (k *keys) Authorize(req *sip.Request, resp *sip.Response) (*sip.Request, error) {
	p := k.policy(req)
	for h, err := range sip.All[sip.ProxyAuthenticate](resp) {
		if err == nil {
			p.take(sip.Challenge(h), true, sip.Add(h))
		}
	}
	for h, err := range sip.All[sip.WWWAuthenticate](resp) {
		if err == nil {
			p.take(sip.Challenge(h), false, sip.Add(h))
		}
	}
	out, err := req, error(nil)
	answered := false
	for _, part := range []*part{&p.password, &p.others} {
		switch {
		case !part.may:
		case part.challenges == nil: // a nonce count is for one request
			out = part.client.Prepare(out)
		default:
			edits := append([]sip.Edit{sip.Del("WWW-Authenticate"), sip.Del("Proxy-Authenticate")}, part.challenges...)
			next, bad := part.client.Authorize(out, resp.With(edits...))
			switch {
			case bad == nil:
				out, answered = next, true
			case errors.Is(bad, digest.ErrRefused), errors.Is(bad, digest.ErrTooManyChallenges):
				return nil, bad
			case err == nil:
				err = bad
			}
		}
	}
	switch {
	case answered:
	case err != nil:
		return nil, err
	case p.withheld:
		return nil, &digest.Error{Realm: p.realm, Err: digest.ErrUnexpectedRealm}
	default: // there is none that can be read
		return k.others.Authorize(req, resp.With(sip.Del("WWW-Authenticate"), sip.Del("Proxy-Authenticate")))
	}
	for realm := range realmsOf(out) {
		if slices.Contains(p.learned, realm) {
			k.learn(realm)
		}
	}
	return out, nil
}

// realmsOf returns the realms that a request has credentials for.
func realmsOf(req *sip.Request) map[string]bool {
	realms := map[string]bool{}
	for realm := range credentials(req) {
		realms[realm] = true
	}
	return realms
}

// part is what one of the clients has to do with a request.
type part struct {
	client     *digest.Client
	may        bool // its passwords may go where the request goes
	challenges []sip.Edit
}

// policy is who may challenge one request.
type policy struct {
	k                *keys
	password, others part
	teaches          bool // what it is challenged for is the password's
	inDialog         bool
	toUs             bool            // it is for our domain
	asked            map[string]bool // the realms that it has credentials for

	learned  []string // realms that are the password's from now on
	withheld bool     // a challenge was not admitted
	realm    string   // of the first of those
}

func (k *keys) policy(req *sip.Request) *policy {
	ours, inDialog := k.isOurs(req), req.To().Tag() != ""
	return &policy{
		k:        k,
		password: part{client: k.password, may: ours},
		others:   part{client: k.others, may: ours || k.isAddressed(req)},
		// That of a REGISTER alone, which nobody else gets to see. Another request may be
		// answered by whoever is called, in the name of any realm.
		teaches:  req.Method() == sip.REGISTER && ours && !k.named && !inDialog,
		inDialog: inDialog,
		toUs:     k.isServer(hostOf(req.URI())),
		asked:    realmsOf(req),
	}
}

// take gives a challenge to who may answer it.
func (p *policy) take(text sip.Challenge, proxy bool, field sip.Edit) {
	ch, err := text.Digest()
	if err != nil {
		return // nor can it be answered
	}
	switch {
	case slices.Contains(p.k.further, ch.Realm):
		if p.asksOthers(ch.Realm) {
			p.others.challenges = append(p.others.challenges, field)
			return
		}
	case p.asksPassword(ch.Realm, proxy):
		p.password.challenges = append(p.password.challenges, field)
		return
	}
	if !p.withheld {
		p.realm = ch.Realm
	}
	p.withheld = true
}

// asksOthers reports whether a further realm may ask: inside a dialog with a stranger if it has
// asked before we began that, which is why the request has credentials for it.
func (p *policy) asksOthers(realm string) bool {
	return p.password.may || p.others.may && (!p.inDialog || p.asked[realm])
}

// asksPassword reports whether a realm is one of the password that may ask.
func (p *policy) asksPassword(realm string, proxy bool) bool {
	switch {
	case !p.password.may:
		return false
	case p.k.isHome(realm) || slices.Contains(p.learned, realm):
		return true
	// Who is called elsewhere has no user of ours to ask for.
	case p.k.isDomain(realm) && (proxy || p.toUs):
	case !p.teaches || len(p.learned) >= maxTaught:
		return false
	}
	p.learned = append(p.learned, realm)
	return true
}
