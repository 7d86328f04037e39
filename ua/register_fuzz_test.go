package ua

import (
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// FuzzGranted reads whatever comes as a 2xx to a REGISTER: no panic, no longer life
// than was asked for, a refresh within that, and a Route and a Contact that can be
// sent.
func FuzzGranted(f *testing.F) {
	const head = "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: 1\r\nCSeq: 1 REGISTER\r\n"
	for _, fields := range []string{
		"", "Contact: *\r\n", "Expires: 4294967295\r\n",
		"Contact: <sip:a@192.0.2.1>;expires=60;reg-id=1;+sip.instance=\"<urn:x>\";pub-gruu=\"sip:a@b;gr=x\";temp-gruu=\"sip:t@b;gr\"\r\n",
		"Service-Route: <sip:p;lr>, <sip:q;lr>\r\nRequire: outbound\r\nFlow-Timer: 4294967295\r\n",
		"Feature-Caps: *;+sip.pns=\"webpush\";+sip.pnsreg=\"100\";+sip.pnspurr=\"x\"\r\n",
	} {
		f.Add(head + fields + "\r\n")
	}
	own := sip.URI{Scheme: "sip", User: "a", Host: "192.0.2.1"}
	f.Fuzz(func(t *testing.T, text string) {
		m, err := sip.Parse(text)
		resp, ok := m.(*sip.Response)
		if err != nil || !ok {
			return
		}
		r := &Registration{a: &Agent{cfg: Config{Instance: "urn:x"}}, expires: time.Hour}
		b := newBinding(r, 1)
		b.contact = sip.Contact{URI: own.WithPushParams(sip.PushParams{Provider: "webpush"})}
		g := b.granted(resp)
		if g.life < 0 || g.life > time.Hour {
			t.Errorf("life %v, want up to the hour that was asked for", g.life)
		}
		if in := g.refreshIn(); in > max(g.life, time.Second) || g.life > 0 && in <= 0 {
			t.Errorf("refresh in %v of %v", in, g.life)
		}
		g.lists(sip.Contact{URI: own}, b.contact)
		req := sip.NewRequest(sip.OPTIONS, own, sip.List(g.route...))
		if err := req.Err(); err != nil {
			t.Errorf("Route of %q: %v", text, err)
		}
		for _, gruu := range []sip.URI{g.pub, g.temp} {
			if gruu.Host == "" {
				continue
			}
			if err := req.With(sip.Contact{URI: gruu}).Err(); err != nil {
				t.Errorf("GRUU %q: %v", gruu, err)
			}
		}
	})
}
