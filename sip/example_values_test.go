package sip_test

import (
	"fmt"
	"time"

	"github.com/goparley/parley/sip"
)

// A subscriber reads the state of its subscription (RFC 6665 section 4.1.3).
func ExampleSubscriptionState() {
	notify := sip.NewRequest(sip.NOTIFY, sip.URI{Scheme: "sip", Host: "watcher.example.com"},
		sip.Event{Package: "presence"},
		sip.SubscriptionState{State: "terminated", Params: ";reason=probation;retry-after=60"},
	)
	event, err := sip.Get[sip.Event](notify)
	if err != nil {
		fmt.Println(err) // notify.Refuse(err) is what to answer
		return
	}
	state, err := sip.Get[sip.SubscriptionState](notify)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(event.Package, "is", state.State)
	if seconds, ok := state.RetryAfter(); ok {
		fmt.Println(state.Reason(), "- again in", seconds, "seconds")
	}
	// Output:
	// presence is terminated
	// probation - again in 60 seconds
}

// A proxy finds a session interval too short (RFC 4028 section 8.1).
func ExampleSessionExpires() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	req := msg.(*sip.Request)
	expires, err := sip.Get[sip.SessionExpires](req)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(expires.Seconds, expires.Refresher())
	if expires.Seconds < 3600 {
		resp := req.Reply(sip.StatusSessionIntervalTooSmall, sip.MinSE(3600))
		least, err := sip.Get[sip.MinSE](resp)
		fmt.Println(resp.Status(), least, err)
	}
	// Output:
	// 1800 uac
	// 422 Session Interval Too Small 3600 <nil>
}

// A BYE says why, to people and to a telephone network.
func ExampleReason() {
	bye := sip.NewRequest(sip.BYE, sip.URI{Scheme: "sip", User: "bob", Host: "192.0.2.4"},
		sip.Reason{Protocol: "SIP", Cause: 503, Text: `The "east" gateway is down`},
		sip.Add(sip.Reason{Protocol: "Q.850", Cause: 41}),
	)
	for reason, err := range sip.All[sip.Reason](bye) {
		fmt.Println(reason.Protocol, reason.Cause, reason.Text, err)
	}
	// Output:
	// SIP 503 The "east" gateway is down <nil>
	// Q.850 41  <nil>
}

// A busy server asks the client before it to hold back a fifth of its requests
// for the next second (RFC 7339 section 5.2).
func ExampleVia_WithOverloadControl() {
	msg, err := sip.Parse(invite)
	if err != nil {
		fmt.Println(err)
		return
	}
	resp := msg.(*sip.Request).Reply(sip.StatusServiceUnavailable, sip.RetryAfter{Seconds: 5, Comment: "too many calls"})
	via := resp.Via().WithOverloadControl(sip.OverloadControl{
		OC: 20, Algo: "loss", Validity: time.Second, Seq: 1,
	})
	resp = resp.With(sip.Pop("Via"), sip.Push(via))
	fmt.Println(resp.Value("Via"))
	fmt.Println(resp.Value("Retry-After"))
	// Output:
	// SIP/2.0/UDP pc33.example.org;branch=z9hG4bK776asdhds;oc=20;oc-algo="loss";oc-validity=1000;oc-seq=0.00001 true
	// 5 (too many calls) true
}

// A registrar keeps where a user is. The clone does not keep the REGISTER.
func ExampleContact_Clone() {
	register := sip.NewRequest(sip.REGISTER, sip.URI{Scheme: "sip", Host: "example.com"},
		sip.Field{Name: "Contact", Value: "<sip:alice@192.0.2.1>;expires=86400"})
	contact, err := sip.Get[sip.Contact](register)
	if err != nil {
		fmt.Println(err)
		return
	}
	bindings := map[string]sip.Contact{"alice": contact.Clone()}
	fmt.Println(string(bindings["alice"].WithExpires(3600).AppendValue(nil)))
	// Output: <sip:alice@192.0.2.1>;expires=3600
}
