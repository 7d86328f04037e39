// Package digest proves to an MSRP relay who a client is, and to the client that the
// relay knows it.
//
// A Client is the memory that a user of one relay has: the challenge that came last,
// and how often it was answered. A Server is the relay's side: it challenges, and says
// who answered; of a challenge it keeps nothing, of answers that were right the nonces,
// so that none counts twice. Both take and make the values of the header fields; they
// send nothing, and start no goroutine.
//
//	for {
//		value, err := client.Authorize("AUTH", uri) // "" before the first challenge
//		if err != nil {
//			return err
//		}
//		resp := auth(value)
//		if resp.status != 401 {
//			proved, err := client.Verify(resp.authenticationInfo)
//			...
//		}
//		if err := client.Challenged(resp.challenges); err != nil {
//			return err // errors.Is(err, digest.ErrRefused): wrong password
//		}
//	}
//
// The loop ends: a password that was refused is not sent again, and three stale nonces
// in a row are believed.
//
// The package follows RFC 4976 sections 5.1 and 9.1 and, as far as these have it, RFC
// 2617: MD5, and SHA-256 as in RFC 7616, both with qop=auth. The uri is the rightmost
// of To-Path, and Authentication-Info is sent and checked. It does no auth-int, no
// MD5-sess and no Basic, which RFC 4976 rules out, no digest without a qop, no userhash
// and no username*. User names and passwords are hashed as they are, in UTF-8, without
// Unicode normalization.
package digest
