package sip_test

import (
	"encoding/hex"
	"fmt"

	"github.com/goparley/parley/sip"
)

// A registrar asks for credentials, and the phone looks at what it may choose
// from. Package digest does both for those who do not want to do it themselves.
func ExampleDigestChallenge() {
	challenge := sip.DigestChallenge{Realm: "example.com", Nonce: "84a4cc6f", QOP: []string{"auth"}}
	strong, weak := challenge, challenge
	strong.Algorithm, weak.Algorithm = "SHA-256", "MD5"
	req := sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "example.com"})
	resp := req.Reply(sip.StatusUnauthorized,
		sip.Add(sip.WWWAuthenticate(strong.Challenge())), sip.Add(sip.WWWAuthenticate(weak.Challenge())))

	for h, err := range sip.All[sip.WWWAuthenticate](resp) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(h.Scheme, h.Params)
		if c, err := sip.Challenge(h).Digest(); err == nil {
			fmt.Println("realm", c.Realm, "algorithm", c.Algorithm, "stale", c.Stale)
		}
	}
	// Output:
	// Digest realm="example.com", nonce="84a4cc6f", algorithm=SHA-256, qop="auth"
	// realm example.com algorithm SHA-256 stale false
	// Digest realm="example.com", nonce="84a4cc6f", algorithm=MD5, qop="auth"
	// realm example.com algorithm MD5 stale false
}

// A call center tells the next agent which customer this is.
func ExampleUserToUser() {
	req := sip.NewRequest(sip.INVITE, sip.URI{Scheme: "sip", User: "agent", Host: "example.com"},
		sip.UserToUser{Data: hex.EncodeToString([]byte("customer 4711")), Params: ";encoding=hex"})

	for uui, err := range sip.All[sip.UserToUser](req) {
		if err != nil {
			fmt.Println(err)
			continue
		}
		octets, err := uui.Bytes()
		fmt.Printf("%s: %q, %v\n", uui.Data, octets, err)
	}
	// Output: 637573746f6d65722034373131: "customer 4711", <nil>
}
