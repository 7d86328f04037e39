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
// A registration is refreshed, kept alive through NATs and made anew by itself. By
// several outbound proxies (RegisterOptions.Proxies) it is a flow by each, and what
// the agent sends outside of dialogs goes by one that is up. A program that learns of
// another network calls NetworkChanged, or sets Config.WatchNetwork; one that sleeps
// and is woken by push notifications calls Refresh.
//
// Ending a context is CANCEL, both ways: that of Invite cancels the call, and
// that of OnInvite ends when the caller gives up. Why is a sip.Reason in the cause of
// the context, and in the error of a call that the peer has ended. An idle call, an
// idle registration and an idle subscription hold no goroutine.
//
// What others know is watched with Subscribe, and what the agent knows by a Notifier,
// for which an event package is a small interface, Package:
//
//	sub, err := alice.Subscribe(ctx, "sip:bob@example.com", "presence", nil) // likewise
//	for notify, err := range sub.Notifies(ctx) { fmt.Println(notify.Body.Content) }
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
// help of package sdp, RFC 5621 and RFC 2387 for bodies of several parts, RFC 3428 for
// MESSAGE, and for registrations RFC 5626 sections 4.1 to 4.5 (flows by several
// outbound proxies), RFC 3327 section 5.1 (Path), RFC 3608 section 6.1
// (Service-Route), RFC 5627 section 4 (GRUUs), RFC 3840 sections 6 and 8
// (capabilities), RFC 8599 section 4.1 (push notifications) and RFC 3680 (their end). Of
// what goes with calls it has RFC 3262 (reliable provisional responses), RFC 3311
// (UPDATE), RFC 4028 (session timers), RFC 3515, RFC 3891, RFC 3892, RFC 3911, RFC 4488
// and RFC 5589 (transfers), RFC 3323 and RFC 3325 (anonymous calls, asserted
// identities), RFC 3326 (Reason), RFC 5373 (answer modes), RFC 6086 (INFO), RFC 7044
// (History-Info) and RFC 7433 (User-to-User); for events RFC 6665, with tolerance for
// peers of RFC 3265, RFC 6446 (rates) and RFC 3903 (PUBLISH). Media, ICE and MSRP are
// streams of other packages;
// this one never imports them.
package ua
