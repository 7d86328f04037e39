// Package ua is a SIP user agent: it registers, calls, is called, and sends
// messages.
//
// An Agent is one address of record with the sockets it is reached by. What a
// program waits for is a blocking call with a context; what comes unasked is a
// func in Config. A call carries streams, each of them one m= section of its
// session description: the agent makes the offers and answers, the streams say
// what is in them. Package media has a stream for audio; anything that
// describes itself in SDP can be one.
//
//	alice, err := ua.New("sip:alice@example.com", &ua.Config{Password: "secret"})
//	defer alice.Close()
//	reg, err := alice.Register(ctx, nil) // refreshed until closed
//	call, err := alice.Invite(ctx, "sip:bob@example.com", &ua.InviteOptions{Streams: []ua.Stream{audio}})
//	<-call.Done()
//
// Who failed is in the error: a *StatusError is the peer's refusal and matches
// its status code, errors.Is(err, sip.StatusBusyHere); ErrPassword says that
// the credentials were refused; transaction.ErrTimeout that nobody answered;
// *net.OpError and *net.DNSError are the network's; and the error of a context
// is the caller's own doing.
//
// The package follows RFC 3261 for the user agent and its registrations, RFC
// 3264 through package sdp, and RFC 3428 for MESSAGE. Media, NAT traversal and
// MSRP are streams of other packages; this one never imports them.
package ua
