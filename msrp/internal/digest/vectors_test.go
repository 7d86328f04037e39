package digest

import "testing"

// The examples of RFC 2617 section 3.5 and RFC 7616 section 3.9.1, and requests that
// were computed elsewhere.
func TestVectors(t *testing.T) {
	const nonce7616 = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
	const cnonce7616 = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
	const relay = "msrps://alice@a.example.com:443;ws"
	for _, v := range []struct {
		algorithm                      Algorithm
		username, realm, password      string
		method, uri                    string
		nonce, count, cnonce, response string
	}{
		{MD5, "Mufasa", "testrealm@host.com", "Circle Of Life", "GET", "/dir/index.html",
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b", "6629fae49393a05397450978507c4ef1"},
		{MD5, "Mufasa", "http-auth@example.org", "Circle of Life", "GET", "/dir/index.html",
			nonce7616, "00000001", cnonce7616, "8ca523f5e9506fed4657c9700eebdbec"},
		{SHA256, "Mufasa", "http-auth@example.org", "Circle of Life", "GET", "/dir/index.html",
			nonce7616, "00000001", cnonce7616, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
		{MD5, "alice", "sip.test", "alicepw", "INVITE", "sip:bob@sip.test",
			"kC0ffee+/==nonce-0001", "0000000a", "c1d2e3f4", "585061460124e70133b17df5e9ab8074"},
		{SHA256, "alice", "sip.test", "alicepw", "INVITE", "sip:bob@sip.test",
			"kC0ffee+/==nonce-0001", "0000000a", "c1d2e3f4", "ed316942c9c9a7044e482421b8110f12c8d920c7b8293c1ddaa135dcb7357cc5"},
		{MD5, "alice", "example.com", "secret", "AUTH", relay, "n-1", "0000000a", "c-1", "c221bd7b4c96787052f96643fe1c11ff"},
		{SHA256, "alice", "example.com", "secret", "AUTH", relay, "n-1", "0000000a", "c-1", "46dfed8c0a025146314a8940b804168dc72d1d21c41527e66d7210b9eb80adae"},

		// rspauth, which is without the method (RFC 2617 section 3.2.3).
		{MD5, "alice", "example.com", "secret", "", relay, "n-1", "0000000a", "c-1", "1aa9eb423bb76d458a8282b120878dc4"},
		{SHA256, "alice", "example.com", "secret", "", relay, "n-1", "0000000a", "c-1", "aeb9f4b2db83568277c9a2a8a5d271a778a86db6ae6e8290f819631d8bcd65c4"},
	} {
		p := credentials{nonce: v.nonce, nc: v.count, cnonce: v.cnonce, qop: "auth"}
		got := v.algorithm.response(v.algorithm.key(v.username, v.realm, v.password), v.method, v.uri, &p)
		if got != v.response {
			t.Errorf("%s of %s %s by %s: %s, want %s", v.algorithm, v.method, v.uri, v.username, got, v.response)
		}
	}
}

// RFC 4976 section 9.1 rules out MD5-sess.
func TestAlgorithmNames(t *testing.T) {
	for text, want := range map[string]Algorithm{
		"": MD5, "md5": MD5, "MD5": MD5, "sha-256": SHA256, "SHA-256": SHA256,
		"MD5-sess": "", "SHA-256-sess": "", "SHA-512-256": "", "AKAv1-MD5": "",
	} {
		if got, ok := lookup(text); got != want || ok != (want != "") {
			t.Errorf("lookup(%q) = %q, %v, want %q", text, got, ok, want)
		}
	}
}
