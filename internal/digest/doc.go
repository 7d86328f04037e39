// Package digest has what the digests of SIP and of MSRP share: their hashes, nonces that
// a server knows without keeping them, nonce counts of which none is taken twice, and a
// memory that is bounded.
//
// It says how a thing is made and whether it is new. What challenges and credentials look
// like, which of them are taken, and what is said of the others differs: that is in
// sip/digest and msrp/internal/digest.
//
//	nonces := digest.NewNonces(nil)
//	replays := digest.NewReplays(1000, 64, time.Now())
//	nonce := nonces.New(time.Now(), realm) // into a challenge
//	made, id, ok := nonces.Read(nonce, realm) // out of credentials
//	count, ok := digest.ReadCount("00000001")
//	fresh := replays.Use(id, made, time.Now(), count) // once the response is right
//
// The package follows RFC 7616 and, where SIP and MSRP still do, RFC 2617. It knows no
// header field and no password.
package digest
