// Package ua is a SIP user agent: it registers, calls, is called, and sends
// messages.
//
// An Agent is one address of record with the sockets it is reached by. What a
// program waits for is a blocking call with a context; what comes unasked is a
// func in Config. A call carries streams, each of them one m= section of its
// session description: the agent makes the offers and answers, the streams say
// what is in them. Package media has a stream for audio; anything that
// describes itself in SDP can be one, as the game of chess in the example of
// Stream.
//
//	alice, err := ua.New("sip:alice@example.com", &ua.Config{Password: "secret"})
//	defer alice.Close()
//	reg, err := alice.Register(ctx, nil) // refreshed until closed
//	call, err := alice.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{audio}})
//	<-call.Done()
//
// Ending a context is CANCEL, both ways: that of Invite cancels the call, and
// that of OnInvite ends when the caller gives up. An idle call and an idle
// registration hold no goroutine.
//
// Who failed is in the error: a *StatusError is the peer's refusal and matches
// its status code, errors.Is(err, sip.StatusBusyHere); ErrPassword says that
// the credentials were refused or are missing, and digest.ErrRefused or
// digest.ErrNoCredentials which; transaction.ErrTimeout that nobody answered;
// *net.OpError and *net.DNSError are the network's; ErrClosed and the error of a
// context are the caller's own doing.
//
// The package follows RFC 3261 for the user agent (sections 8, 11, 13 to 15) and
// its registrations (section 10), RFC 3264 and RFC 6337 for sessions with the
// help of package sdp, RFC 5621 for bodies of several parts, RFC 3428 for
// MESSAGE, and RFC 5626 sections 4.1, 4.2, 4.4 and 4.5 for registrations behind
// NATs, with one flow. It does
// not do reliable provisional responses, UPDATE, session timers, transfer or
// subscriptions, and says so in Allow and Supported. Redirections are reported
// and not followed. Media, ICE and MSRP are streams of other packages;
// this one never imports them.
package ua
