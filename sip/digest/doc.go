// Package digest answers and makes SIP's digest challenges.
//
// A Client is the memory of a user agent: it holds credentials, answers the
// challenges in a 401 or 407, and puts credentials on later requests before
// anybody asks, so that a refresh takes one round trip. A Server is the
// other side: it challenges requests and says who sent them, and it keeps
// nothing between the two. Both take messages and return messages; they send
// nothing, and start no goroutine.
//
//	client := digest.NewClient(digest.Credentials{Username: "alice", Password: "secret"})
//	req = client.Prepare(req)
//	resp := send(req)
//	for resp.Status() == sip.StatusUnauthorized || resp.Status() == sip.StatusProxyAuthRequired {
//		if req, err = client.Authorize(req, resp); err != nil {
//			return err // errors.Is(err, digest.ErrRefused): wrong password
//		}
//		resp = send(req.With(nextCSeq, newBranch))
//	}
//
// The loop ends: credentials that were refused are not sent again, and stale
// nonces are believed three times in a row.
//
// A digest shows a little of the password to whoever chose the nonce. Inside a
// dialog the other side is a stranger, so the client answers there only for
// realms that it met outside a dialog, or that the Credentials name. A stranger
// can copy the name of a realm: an agent whose in-dialog request goes straight
// to its peer, over none of its own proxies, should not answer a challenge to
// it at all.
//
// The package follows RFC 3261 section 22, RFC 7616 and RFC 8760, and reads
// what RFC 2617 and RFC 2069 clients and servers send: MD5, SHA-256 and
// SHA-512/256, each as -sess too, qop auth, auth-int and none, and at the
// client userhash, at the server username*. It does no Basic, which SIP forbids,
// and no AKA (RFC 3310), which takes a SIM in place of a password: a challenge
// with AKAv1-MD5 is passed over as one of an unknown algorithm. It neither checks
// nor sends Authentication-Info. User names and passwords are hashed as they are,
// in UTF-8, without Unicode normalization.
package digest
