package sip

import (
	"slices"
	"testing"
)

func TestChallenges(t *testing.T) {
	reads(t,
		// RFC 3261 section 20.44.
		reading[WWWAuthenticate]{`Digest realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5`,
			WWWAuthenticate{"Digest", `realm="atlanta.com", domain="sip:boxesbybob.com", qop="auth", nonce="f84f1cec41e6cbe5aea9c8e88d359", opaque="", stale=FALSE, algorithm=MD5`}, ""},
		reading[WWWAuthenticate]{"DIGEST \t realm = \"a\" ,, nonce=b\t,", WWWAuthenticate{"DIGEST", "realm = \"a\" ,, nonce=b\t,"}, "DIGEST realm = \"a\" ,, nonce=b\t,"},
		// Quotes that are left out.
		reading[WWWAuthenticate]{"Digest realm=a, nonce=x/y==", WWWAuthenticate{"Digest", "realm=a, nonce=x/y=="}, ""},
		// RFC 8898 section 4, and schemes that SIP does not have.
		reading[WWWAuthenticate]{`Bearer authz_server="https://as.example.com/", scope="sip", realm="example.com"`,
			WWWAuthenticate{"Bearer", `authz_server="https://as.example.com/", scope="sip", realm="example.com"`}, ""},
		reading[WWWAuthenticate]{"NTLM", WWWAuthenticate{"NTLM", ""}, "NTLM "},
	)
	reads(t,
		reading[Authorization]{"Bearer eyJhbGciOiJSUzI1NiJ9.e30.c2ln==", Authorization{"Bearer", "eyJhbGciOiJSUzI1NiJ9.e30.c2ln=="}, ""},
		reading[Authorization]{`Digest username="Alice", realm="atlanta.com", uri=sip:bob@biloxi.com, nc=00000001`,
			Authorization{"Digest", `username="Alice", realm="atlanta.com", uri=sip:bob@biloxi.com, nc=00000001`}, ""},
	)
	reads(t, reading[ProxyAuthorization]{"Digest a=b", ProxyAuthorization{"Digest", "a=b"}, ""})
	reads(t, reading[ProxyAuthenticate]{"Digest a=b", ProxyAuthenticate{"Digest", "a=b"}, ""})
	refuses[WWWAuthenticate](t, "", "Digest", "Digest ", "Digest , ,", `Digest"x"`, "=", "Digest realm", "Digest realm=", "Digest realm=,a=b", `Digest =a`,
		`Digest realm="a`, `Digest realm="a"b`, `Digest realm="a" nonce="b"`, "Digest realm=a b", "Digest realm=<a", "Digest realm=\x80", `Digest a=b"c`,
		`Digest realm="a", nonce="b", Digest realm="c", nonce="d"`, `Basic realm="a", Digest realm="c"`)
	wontWrite(t, WWWAuthenticate{}, WWWAuthenticate{"Digest", ""}, WWWAuthenticate{"Dig est", "a=b"}, WWWAuthenticate{"Digest", "a=b, Bearer x"},
		WWWAuthenticate{"Bearer", "x, Digest a=b"})
}

// RFC 3261 section 7.3.1 wants a line for each challenge. Several on one are read
// apart.
func TestCombinedChallenges(t *testing.T) {
	m := mustParse(t, tweak("", `WWW-Authenticate: Digest realm="a, Digest x", nonce="1", algorithm=SHA-256 , Digest realm="a", nonce=2,`+
		` BEARER authz_server="https://b.example", scope="x"`, `WWW-Authenticate: Digest realm="b" , nonce = "3", stale = TRUE`))
	want := []WWWAuthenticate{
		{"Digest", `realm="a, Digest x", nonce="1", algorithm=SHA-256`},
		{"Digest", `realm="a", nonce=2`},
		{"BEARER", `authz_server="https://b.example", scope="x"`},
		{"Digest", `realm="b" , nonce = "3", stale = TRUE`},
	}
	if got := values[WWWAuthenticate](t, m); !slices.Equal(got, want) {
		t.Errorf("challenges are %q, want %q", got, want)
	}
	if first, err := Get[WWWAuthenticate](m); err != nil || first != want[0] {
		t.Errorf("the first challenge is %q, %v", first, err)
	}
	// An edit takes one away, and none writes several on one line.
	if got := values[WWWAuthenticate](t, with(m, Pop("WWW-Authenticate"))); !slices.Equal(got, want[1:]) {
		t.Errorf("Pop left %q, want %q", got, want[1:])
	}
	if err := with(m, Field{"WWW-Authenticate", "Bearer a=b, Digest realm=c"}).Err(); err == nil {
		t.Error("With wrote two challenges on one line")
	}

	// One that is broken does not take the others with it.
	m = mustParse(t, tweak("", `Authorization: Digest realm="a" nonce="1", Digest realm="b", nonce="2"`))
	n := 0
	for h, err := range All[Authorization](m) {
		if n++; (err == nil) != (n == 2) || n == 2 && h.Params != `realm="b", nonce="2"` {
			t.Errorf("credentials %d are %q, %v", n, h, err)
		}
	}
	if n != 2 {
		t.Errorf("%d credentials, want 2", n)
	}
}

func TestAuthParams(t *testing.T) {
	const p AuthParams = ` realm = "a, \"b\"", nonce=x==,, Stale="TRUE" junk, flag, uri=<sip:a,b>`
	for name, want := range map[string]string{"REALM": `a, "b"`, "nonce": "x==", "stale": "TRUE", "flag": "", "uri": "<sip:a", "b>": ""} {
		if got, ok := p.Get(name); got != want || !ok {
			t.Errorf("Get(%q) = %q, %v, want %q", name, got, ok, want)
		}
	}
	if got, ok := p.Get("junk"); ok {
		t.Errorf("Get(junk) = %q", got)
	}
	for range p.All() {
		break
	}
}

// Reading challenges, credentials and identities takes no memory.
func TestSecurityAllocations(t *testing.T) {
	m := mustParse(t, tweak("", `WWW-Authenticate: Digest realm="a", nonce="b", qop="auth", algorithm=SHA-256`,
		`Authorization: Digest username="a", realm="b", nonce="c", uri="sip:d", response="e", qop=auth, nc=00000001, cnonce="f"`,
		`Authentication-Info: nextnonce="a", qop=auth, rspauth="b", cnonce="c", nc=00000001`,
		"Identity: a.b.c;info=<https://cert.example.org/passport.cer>;alg=ES256;ppt=shaken", "User-to-User: 56a390f3;encoding=hex",
		"P-Associated-URI: <tel:+1>", "P-Called-Party-ID: <sip:a@b>", "P-Served-User: <sip:a@b>;sescase=orig;regstate=reg", "P-Profile-Key: <sip:a@b>",
		"P-User-Database: <aaa://hss.example.com>", "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=1;network-provided",
		`P-Visited-Network-ID: "Visited network"`, "P-Private-Network-Indication: example.com",
		`P-Charging-Vector: icid-value="a=b";icid-generated-at=192.0.6.8`, "P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel",
		"P-Preferred-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel"))
	takesNothing[WWWAuthenticate](t, m)
	takesNothing[Authorization](t, m)
	takesNothing[AuthenticationInfo](t, m)
	takesNothing[Identity](t, m)
	takesNothing[UserToUser](t, m)
	takesNothing[PAssociatedURI](t, m)
	takesNothing[PCalledPartyID](t, m)
	takesNothing[PServedUser](t, m)
	takesNothing[PProfileKey](t, m)
	takesNothing[PUserDatabase](t, m)
	takesNothing[PAccessNetworkInfo](t, m)
	takesNothing[PVisitedNetworkID](t, m)
	takesNothing[PPrivateNetworkIndication](t, m)
	takesNothing[PChargingVector](t, m)
	takesNothing[PAssertedService](t, m)
	takesNothing[PPreferredService](t, m)
	h, err := Get[Authorization](m)
	if err != nil {
		t.Fatal(err)
	}
	allocs(t, "credentials of a digest", 0, func() {
		if d, err := Challenge(h).Credentials(); err != nil || d.CNonce != "f" {
			t.Fatal(d, err)
		}
	})
}
