package sip

import (
	"testing"
	"time"
)

func TestOverloadControl(t *testing.T) {
	const top = "SIP/2.0/TLS p1.example.net;branch=z9hG4bK2d4790.1"
	for _, c := range []struct {
		params string
		want   OverloadControl
		wrote  string // "" for the same
	}{
		// RFC 7339 section 6.
		{`;oc;oc-algo="loss,A"`, OverloadControl{Offer: true, Algo: "loss,A"}, ""},
		{`;oc=0;oc-algo="loss";oc-validity=0`, OverloadControl{Algo: "loss"}, `;oc=0;oc-algo="loss";oc-validity=0;oc-seq=0.00000`},
		{`;oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.782`,
			OverloadControl{OC: 20, Algo: "loss", Validity: 500 * time.Millisecond, Seq: 128232161578200},
			`;oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.78200`},
		// What is not said: half a second; no decimals; no quotes.
		{`;OC = 150 ;oc-algo=rate;oc-seq=7`, OverloadControl{OC: 150, Algo: "rate", Validity: 500 * time.Millisecond, Seq: 700000},
			`;oc=150;oc-algo="rate";oc-validity=500;oc-seq=7.00000`},
		{`;oc-validity=0`, OverloadControl{}, `;oc=0;oc-validity=0;oc-seq=0.00000`},
		{`;oc=100;oc-validity=4294967295;oc-seq=999999999999.99999`,
			OverloadControl{OC: 100, Validity: 4294967295 * time.Millisecond, Seq: 1e17 - 1}, ""},
		{`;oc=5;oc-validity=x;oc-seq=1.123456`, OverloadControl{OC: 5, Validity: 500 * time.Millisecond}, `;oc=5;oc-validity=500;oc-seq=0.00000`},
	} {
		via, err := Via{}.ParseValue(top + c.params)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := via.OverloadControl()
		if !ok || got != c.want {
			t.Errorf("OverloadControl() of %s = %+v, %v, want %+v", c.params, got, ok, c.want)
		}
		if c.wrote == "" {
			c.wrote = c.params
		}
		if wrote := via.WithOverloadControl(got); string(wrote.AppendValue(nil)) != top+c.wrote || wrote.Branch() != via.Branch() {
			t.Errorf("%s is written %s, want %s", c.params, wrote.Params, c.wrote)
		}
	}
	for _, params := range []string{"", ";rport", ";oc-algo=\"loss\"", ";oc-validity=500", ";oc=x", ";oc=-1;oc-validity=500", ";oc=4294967296"} {
		via, err := Via{}.ParseValue(top + params)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := via.OverloadControl(); ok || got != (OverloadControl{}) {
			t.Errorf("OverloadControl() of %q = %+v, %v, want none", params, got, ok)
		}
	}
}

// A server that is busy says so to the client before it, and leaves the other
// Vias alone.
func TestOverloadControlInResponse(t *testing.T) {
	req := mustParse(t, tweak("Via", `Via: SIP/2.0/TLS p1.example;branch=z9hG4bK1;oc;oc-algo="loss", SIP/2.0/UDP a.example;branch=z9hG4bK2`)).(*Request)
	if oc, ok := req.Via().OverloadControl(); !ok || !oc.Offer || oc.Algo != "loss" {
		t.Fatalf("OverloadControl() = %+v, %v, want an offer", oc, ok)
	}
	oc := OverloadControl{OC: 20, Algo: "loss", Validity: time.Second, Seq: 1}
	resp := req.Reply(StatusOK)
	resp = resp.With(Pop("Via"), Push(resp.Via().WithOverloadControl(oc)))
	if resp.Err() != nil {
		t.Fatal(resp.Err())
	}
	vias := values[Via](t, mustParse(t, resp.String()))
	if got, ok := vias[0].OverloadControl(); len(vias) != 2 || !ok || got != oc || vias[1].Host != "a.example" {
		t.Errorf("the response is\n%s", resp)
	}
	// Nothing that an algorithm is called becomes another parameter.
	via := Via{Transport: "UDP", Host: "h"}.WithOverloadControl(OverloadControl{Algo: `a";received=192.0.2.9`})
	if via.Received().IsValid() {
		t.Errorf("another parameter in %s", via.Params)
	}
}
