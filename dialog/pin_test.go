package dialog

import (
	"runtime"
	"strings"
	"testing"
	"unsafe"
	"weak"

	"github.com/goparley/parley/sip"
)

// What a call keeps of a message does not keep the message: neither its state,
// of either side and after a refresh, nor what waits to go into an ACK.
func TestNothingKeptPinsItsMessage(t *testing.T) {
	lines := []string{
		"Record-Route: <sip:p1.example;lr>",
		"Record-Route: Proxy <sip:p2.example;lr>;x=y",
		"Contact: <sip:someone@192.0.2.7:5070;transport=tcp>",
		`Proxy-Authorization: Digest username="alice"`,
		`Authorization: Digest username="alice"`,
		"X-Large: " + strings.Repeat("x", 60000),
	}
	small := "Contact: <sip:first@192.0.2.7>"
	for name, keep := range map[string]func() (message sip.Message, kept any){
		"callee": func() (sip.Message, any) {
			req := invite(t, lines...)
			d, err := newCallee(req, "b")
			if err != nil {
				t.Fatal(err)
			}
			return req, &d
		},
		"caller, of the 2xx": func() (sip.Message, any) {
			resp := answer(t, lines...)
			d, err := newCaller(invite(t, small), resp)
			if err != nil {
				t.Fatal(err)
			}
			return resp, &d
		},
		"caller, of its INVITE": func() (sip.Message, any) {
			req := invite(t, lines...)
			d, err := newCaller(req, answer(t)) // without a Contact
			if err != nil {
				t.Fatal(err)
			}
			return req, &d
		},
		"refresh": func() (sip.Message, any) {
			d, err := newCallee(invite(t, small), "b")
			if err != nil {
				t.Fatal(err)
			}
			req := invite(t, lines...)
			d.refresh(req)
			if got := d.uri().User; got != "someone" {
				t.Errorf("the target is %s, want someone", got)
			}
			return req, &d
		},
		"ACK": func() (sip.Message, any) {
			req := invite(t, lines...)
			a := ackedBy(req)
			if got := len(a.credentials); got != 2 {
				t.Errorf("%d credentials are kept, want 2", got)
			}
			return req, &a
		},
	} {
		message, kept := keep()
		text := weak.Make(unsafe.StringData(message.String()))
		message = nil
		runtime.GC()
		if text.Value() != nil {
			t.Errorf("%s: what is kept pins the message", name)
		}
		runtime.KeepAlive(kept)
	}
}
