package ua_test

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/goparley/parley/dialog"
	"github.com/goparley/parley/internal/flow"
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/digest"
	"github.com/goparley/parley/ua"
)

// sipServer is the registrar of the flows of RFC 3665 section 2.
var sipServer = flow.Actor{Name: "SIP Server", Host: "ss2.biloxi.example.com", Addr: "192.0.2.222", Domains: []string{"biloxi.example.com"}}

// registerFields are what shows who is bound to what.
var registerFields = []string{"From", "To", "Call-ID", "CSeq", "Contact", "Expires", "Supported", "WWW-Authenticate", "Authorization"}

// secure is what the RFC registers over: TLS, with loss UDP.
func secure(f *flow.Flow) (scheme, transport string) {
	if f.Lossy() {
		return "sip", "udp"
	}
	return "sips", "tls"
}

// runRegistrar runs the registrar, which asks for passwords.
func runRegistrar(f *flow.Flow) {
	f.Helper()
	_, transport := secure(f)
	tc := f.Transport(sipServer, transport)
	tc.TLS = &tls.Config{Certificates: []tls.Certificate{f.Authority().Certificate("ss2.biloxi.example.com", "biloxi.example.com")}}
	(&server{f: f, users: passwords(f, "biloxi.example.com")}).runOn(tc, sipServer)
}

// newSecurePhone makes the phone of Bob.
func newSecurePhone(f *flow.Flow, password string) *phone {
	f.Helper()
	scheme, transport := secure(f)
	bob := flow.Bob
	bob.AOR = scheme + ":bob@biloxi.example.com"
	return newPhone(f, bob, ua.Config{
		Password: password, Instance: "urn:uuid:00000000-0000-1000-8000-00000000000b",
		TLS: bobTLS(f), Listen: f.Transport(bob, transport).Listen,
	})
}

// bobTLS has a certificate because Bob's phone listens.
func bobTLS(f *flow.Flow) *tls.Config {
	return &tls.Config{RootCAs: f.Authority().Pool(), Certificates: []tls.Certificate{f.Authority().Certificate("192.0.2.201")}}
}

// registering is Bob with a client that registers what it is told to. It knows his
// password.
type registering struct {
	f      *flow.Flow
	layer  *dialog.Layer
	scheme string
	seq    uint32
}

func newRegistering(f *flow.Flow) *registering {
	f.Helper()
	scheme, transport := secure(f)
	tc := f.Transport(flow.Bob, transport)
	tc.TLS = bobTLS(f)
	l, err := dialog.Listen(tc, &dialog.Config{Auth: digest.NewClient(digest.Credentials{Username: "bob", Password: "secret"})})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	return &registering{f: f, layer: l, scheme: scheme}
}

// uri returns one of Bob at a host.
func (r *registering) uri(host string) sip.URI {
	return sip.URI{Scheme: r.scheme, User: "bob", Host: host}
}

// phone is the Contact of his phone.
func (r *registering) phone() sip.Contact { return sip.Contact{URI: r.uri("192.0.2.201")} }

// mail is another one, for who looks for him by a redirection.
var mail = sip.Contact{URI: sip.URI{Scheme: "mailto", Opaque: "bob@biloxi.example.com"}}

// register sends a REGISTER, which must be accepted.
func (r *registering) register(edits ...sip.Edit) *sip.Response {
	r.f.Helper()
	r.seq++
	aor := r.uri("biloxi.example.com")
	all := append([]sip.Edit{
		sip.MaxForwards(70), sip.From{Display: "Bob", URI: aor, Params: ";tag=bob"}, sip.To{URI: aor},
		sip.CallID("2@biloxi.example.com"), sip.CSeq{Seq: r.seq, Method: sip.REGISTER},
	}, edits...)
	resp, err := r.layer.Do(r.f.Context(), sip.NewRequest(sip.REGISTER, sip.URI{Scheme: r.scheme, Host: aor.Host}, all...))
	if err != nil || resp.Status() != sip.StatusOK {
		r.f.Fatalf("REGISTER: %v, %v, want 200", resp, err)
	}
	r.seq = resp.CSeq().Seq
	return resp
}

// Bob registers, over TLS, and is asked for his password.
func TestFlow3665Register(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "2.1", Title: "Successful New Registration",
		Cast: []flow.Actor{flow.Bob, sipServer},
		Show: append([]string{"Via"}, registerFields...),
		Flow: `
			F1 REGISTER Bob -> SIP Server
			F2 401      SIP Server -> Bob
			F3 REGISTER Bob -> SIP Server
			F4 200      SIP Server -> Bob`,
		Play: func(f *flow.Flow) {
			runRegistrar(f)
			bob := newSecurePhone(f, "secret")
			f.Note("Bob registers.")
			bob.register()
		},
	})
}

// Bob has two further Contacts registered, one of them an address for mail. An agent
// has one, so this is a REGISTER that is written by hand.
func TestFlow3665UpdateContacts(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "2.2", Title: "Update of Contact List",
		Cast: []flow.Actor{flow.Bob, sipServer},
		Show: registerFields,
		Flow: `
			F1 REGISTER Bob -> SIP Server
			F2 200      SIP Server -> Bob`,
		Play: func(f *flow.Flow) {
			runRegistrar(f)
			bob := newRegistering(f)
			bob.register(bob.phone())
			f.Begin()
			f.Note("Bob adds an address.")
			bob.register(mail)
		},
	})
}

// Bob asks what is registered for him.
func TestFlow3665AskContacts(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "2.3", Title: "Request for Current Contact List",
		Cast: []flow.Actor{flow.Bob, sipServer},
		Show: registerFields,
		Flow: `
			F1 REGISTER Bob -> SIP Server
			F2 200      SIP Server -> Bob`,
		Play: func(f *flow.Flow) {
			runRegistrar(f)
			bob := newRegistering(f)
			bob.register(bob.phone()) // not in one with the next: RFC 5630 section 5.2
			bob.register(mail)
			f.Begin()
			f.Note("Bob asks.")
			resp := bob.register()
			var got int
			for range sip.All[sip.Contact](resp) {
				got++
			}
			if got != 2 {
				f.Errorf("%d Contacts, want 2", got)
			}
		},
	})
}

// Bob unregisters.
func TestFlow3665Unregister(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "2.4", Title: "Cancellation of Registration",
		Cast: []flow.Actor{flow.Bob, sipServer},
		Show: registerFields,
		// The RFC removes all Contacts, by "*"; an agent removes its own.
		Flow: `
			F1 REGISTER Bob -> SIP Server
			F2 200      SIP Server -> Bob`,
		Play: func(f *flow.Flow) {
			runRegistrar(f)
			bob := newSecurePhone(f, "secret")
			bob.register()
			f.Begin()
			f.Note("Bob switches his phone off.")
			if err := bob.Shutdown(f.Context()); err != nil {
				f.Errorf("Shutdown() = %v", err)
			}
		},
	})
}

// The same as the RFC prints it.
func TestFlow3665UnregisterAll(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "2.4b", Title: "Cancellation of Registration, of all Contacts",
		Cast: []flow.Actor{flow.Bob, sipServer},
		Show: registerFields,
		Flow: `
			F1 REGISTER Bob -> SIP Server
			F2 200      SIP Server -> Bob`,
		Play: func(f *flow.Flow) {
			runRegistrar(f)
			bob := newRegistering(f)
			bob.register(bob.phone()) // not in one with the next: RFC 5630 section 5.2
			bob.register(mail)
			f.Begin()
			f.Note("Bob unregisters from all.")
			resp := bob.register(sip.Contact{Star: true}, sip.Expires(0))
			if _, err := sip.Get[sip.Contact](resp); !errors.Is(err, sip.ErrMissing) {
				f.Errorf("Contact of the 200: %v, want none", err)
			}
		},
	})
}

// Bob's password is wrong.
func TestFlow3665WrongPassword(t *testing.T) {
	flow.Test(t, flow.Story{
		RFC: 3665, Section: "2.5", Title: "Unsuccessful Registration",
		Cast: []flow.Actor{flow.Bob, sipServer},
		Show: registerFields,
		Flow: `
			F1 REGISTER Bob -> SIP Server
			F2 401      SIP Server -> Bob
			F3 REGISTER Bob -> SIP Server
			F4 401      SIP Server -> Bob`,
		Play: func(f *flow.Flow) {
			runRegistrar(f)
			bob := newSecurePhone(f, "guess")
			f.Note("Bob registers.")
			if _, err := bob.Register(f.Context(), nil); !errors.Is(err, ua.ErrPassword) {
				f.Errorf("Register() = %v, want ErrPassword", err)
			}
			f.Pass(time.Minute) // and does not try again
		},
	})
}
