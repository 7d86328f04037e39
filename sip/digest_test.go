package sip

import (
	"reflect"
	"strings"
	"testing"
)

func TestDigestChallenge(t *testing.T) {
	for _, c := range []struct {
		text  AuthParams
		want  DigestChallenge
		wrote AuthParams // "" if as it was
	}{
		// RFC 7616 section 3.9.1.
		{`realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`,
			DigestChallenge{Realm: "http-auth@example.org", QOP: []string{"auth", "auth-int"}, Algorithm: "SHA-256",
				Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", Opaque: "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"},
			`realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", algorithm=SHA-256, qop="auth,auth-int"`},
		// RFC 7616 section 3.9.2.
		{`realm="api@example.org", nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", algorithm=SHA-512-256, qop="auth", charset=UTF-8, userhash=true`,
			DigestChallenge{Realm: "api@example.org", QOP: []string{"auth"}, Algorithm: "SHA-512-256", Charset: "UTF-8", UserHash: true,
				Nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", Opaque: "HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS"}, ""},
		// RFC 2069, with what is not known.
		{`REALM="a\"\\b", Nonce="", stale=TRUE, domain="sip:a sip:b", x=y`, DigestChallenge{Realm: `a"\b`, Stale: true, Domain: "sip:a sip:b"},
			`realm="a\"\\b", domain="sip:a sip:b", nonce="", stale=true`},
		{`realm=a, nonce=b, stale=yes, userhash=1, qop=","`, DigestChallenge{Realm: "a", Nonce: "b"}, `realm="a", nonce="b"`},
	} {
		got, err := Challenge{"digest", c.text}.Digest()
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s is %+v, %v, want %+v", c.text, got, err, c.want)
		}
		if c.wrote == "" {
			c.wrote = c.text
		}
		if wrote := got.Challenge(); wrote != (Challenge{"Digest", c.wrote}) {
			t.Errorf("%+v is written %s, want %s", got, wrote.Params, c.wrote)
		}
	}
	for _, c := range []Challenge{
		{"Bearer", `realm="a", nonce="b"`},
		{"Digest", `realm="a"`},
		{"Digest", `nonce="a"`},
		{"Digest", `realm="a", nonce="b", Realm="c"`},
		{"Digest", ""},
	} {
		if got, err := c.Digest(); err == nil || !reflect.DeepEqual(got, DigestChallenge{}) {
			t.Errorf("%v is %+v, %v, want an error", c, got, err)
		} else if msg := msgOf(err); !strings.HasPrefix(msg, "expected ") {
			t.Errorf("%v: %s, want what was expected", c, msg)
		}
	}
}

func TestDigestCredentials(t *testing.T) {
	for _, c := range []struct {
		text  AuthParams
		want  DigestCredentials
		wrote AuthParams // "" if as it was
	}{
		// RFC 7616 section 3.9.1.
		{`username="Mufasa", realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", response="8ca523f5e9506fed4657c9700eebdbec", algorithm=MD5, opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS", cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, nc=00000001`,
			DigestCredentials{Username: "Mufasa", Realm: "http-auth@example.org", Nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
				URI: "/dir/index.html", Response: "8ca523f5e9506fed4657c9700eebdbec", Algorithm: "MD5", QOP: "auth", NC: "00000001",
				CNonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", Opaque: "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"}, ""},
		// RFC 7616 section 3.9.2: the hash of a name, in quotes that others leave out.
		{`username=488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec, realm="api@example.org", uri=/doe.json, response="x", userhash=TRUE`,
			DigestCredentials{Username: "488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec", Realm: "api@example.org", URI: "/doe.json", Response: "x", UserHash: true},
			`username="488869477bf257147b804c45308cd62ac4e25eb717b12b298c79e62dcea254ec", realm="api@example.org", nonce="", uri="/doe.json", response="x", userhash=true`},
		// RFC 8760 section 2.7, before the first challenge, as IMS phones register.
		{`username="alice@ims.example.com", realm="ims.example.com", nonce="", uri="sip:ims.example.com", response=""`,
			DigestCredentials{Username: "alice@ims.example.com", Realm: "ims.example.com", URI: "sip:ims.example.com"}, ""},
		{`username*=UTF-8''J%C3%A4s%C3%B8n%20Doe, realm="r"`, DigestCredentials{Username: "J\u00e4s\u00f8n Doe", Realm: "r"},
			"username=\"J\u00e4s\u00f8n Doe\", realm=\"r\", nonce=\"\", uri=\"\", response=\"\""},
		{`username*=utf-8'en'a, realm="r"`, DigestCredentials{Username: "a", Realm: "r"}, `username="a", realm="r", nonce="", uri="", response=""`},
	} {
		got, err := Challenge{"Digest", c.text}.Credentials()
		if err != nil || got != c.want {
			t.Errorf("%s is %+v, %v, want %+v", c.text, got, err, c.want)
		}
		if c.wrote == "" {
			c.wrote = c.text
		}
		if wrote := got.Challenge(); wrote != (Challenge{"Digest", c.wrote}) {
			t.Errorf("%+v is written %s, want %s", got, wrote.Params, c.wrote)
		}
	}
	for _, c := range []Challenge{
		{"Bearer", "abc"},
		{"Digest", `username="a"`},
		{"Digest", `realm="a", username="a", username="b"`},
		{"Digest", `realm="a", username="a", username*=UTF-8''b`},
		{"Digest", `realm="a", username*=ISO-8859-1''b`},
		{"Digest", `realm="a", username*=UTF-8''%E4`},
		{"Digest", `realm="a", username*=b`},
	} {
		if got, err := c.Credentials(); err == nil || got != (DigestCredentials{}) {
			t.Errorf("%v is %+v, %v, want an error", c, got, err)
		} else if msg := msgOf(err); !strings.HasPrefix(msg, "expected ") {
			t.Errorf("%v: %s, want what was expected", c, msg)
		}
	}
}

// What a user's name or a realm holds does not become another parameter.
func TestDigestSaysWhatItIs(t *testing.T) {
	const evil = `x", nonce="y`
	ch, err := DigestChallenge{Realm: evil, Nonce: "n", Algorithm: evil, QOP: []string{"auth"}}.Challenge().Digest()
	if err != nil || ch.Realm != evil || ch.Nonce != "n" || ch.Algorithm != evil {
		t.Errorf("challenge is %+v, %v", ch, err)
	}
	cred, err := DigestCredentials{Username: evil, Realm: "r", QOP: "auth, realm=a", NC: evil}.Challenge().Credentials()
	if err != nil || cred.Username != evil || cred.Realm != "r" || cred.QOP != "auth, realm=a" || cred.NC != evil {
		t.Errorf("credentials are %+v, %v", cred, err)
	}
}

func TestAuthenticationInfo(t *testing.T) {
	reads(t,
		// RFC 3261 section 20.6.
		reading[AuthenticationInfo]{`nextnonce="47364c23432d2e131a5fb210812c"`, AuthenticationInfo{NextNonce: "47364c23432d2e131a5fb210812c"}, ""},
		// RFC 3310 section 4 orders them otherwise.
		reading[AuthenticationInfo]{`qop=auth-int, rspauth="6629fae49394a05397450978507c4ef1", cnonce="6629fae49393a05397450978507c4ef1", nc=00000001`,
			AuthenticationInfo{QOP: "auth-int", RspAuth: "6629fae49394a05397450978507c4ef1", CNonce: "6629fae49393a05397450978507c4ef1", NC: "00000001"}, ""},
		reading[AuthenticationInfo]{`NC=1,, x=y , RSPAUTH = "a"`, AuthenticationInfo{RspAuth: "a", NC: "1"}, `rspauth="a", nc=1`},
	)
	refuses[AuthenticationInfo](t, "", ",", "nextnonce", `nextnonce="a`, `nextnonce="a", nextnonce="b"`, `x="y"`, `nextnonce="a" qop=auth`, `Digest nextnonce="a"`)
	wontWrite(t, AuthenticationInfo{})
}
