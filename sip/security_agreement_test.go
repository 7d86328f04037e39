package sip

import "testing"

func TestSecurityMechanisms(t *testing.T) {
	reads(t,
		reading[SecurityClient]{text: "tls", want: SecurityClient{Name: "tls"}}, // RFC 3329 section 4
		reading[SecurityClient]{text: "ipsec-3gpp; alg=hmac-sha-1-96; spi-c=1111; port-c=5062", want: SecurityClient{"ipsec-3gpp", "; alg=hmac-sha-1-96; spi-c=1111; port-c=5062"}},
	)
	reads(t, reading[SecurityServer]{text: "tls;q=0.2", want: SecurityServer{"tls", ";q=0.2"}})
	reads(t, reading[SecurityVerify]{text: `digest;d-alg=MD5;d-ver="0000000000000000000000000000abcd"`,
		want: SecurityVerify{"digest", `;d-alg=MD5;d-ver="0000000000000000000000000000abcd"`}})
	refuses[SecurityClient](t, "", ";q=1", "tls q=1", "tls;q=", "tls digest")
	refuses[SecurityServer](t, "", `"tls"`)
	refuses[SecurityVerify](t, "", "tls, digest")
	wontWrite(t, SecurityVerify{}, SecurityVerify{Name: "tls;q=1"}, SecurityVerify{Name: "tls, digest"})
}

// A client takes what it likes best of a 421, and sends all of it back (RFC 3329
// section 4.2).
func TestSecurityVerify(t *testing.T) {
	resp := mustParse(t, tweak("OPTIONS", "SIP/2.0 421 Extension Required", "Security-Server: ipsec-ike;q=0.1", "Security-Server: tls;q=0.2, digest"))
	req := mustParse(t, tweak("")).(*Request)
	var qs []float64
	for server, err := range All[SecurityServer](resp) {
		if err != nil {
			t.Fatal(err)
		}
		qs = append(qs, SecurityMechanism(server).Q())
		req = req.With(Add(SecurityVerify(server)))
	}
	if len(qs) != 3 || qs[0] != 0.1 || qs[1] != 0.2 || qs[2] != 1 {
		t.Errorf("Q() of all = %v, want 0.1, 0.2, 1", qs)
	}
	got := values[SecurityVerify](t, mustParse(t, req.String()))
	if len(got) != 3 || got[0] != (SecurityVerify{"ipsec-ike", ";q=0.1"}) || got[2].Name != "digest" {
		t.Errorf("Security-Verify = %v", got)
	}
}
