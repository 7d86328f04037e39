package dialog

import (
	"slices"
	"strings"
	"testing"

	"github.com/goparley/parley/sip"
)

func parse[M sip.Message](t testing.TB, lines ...string) M {
	t.Helper()
	m, err := sip.Parse(strings.Join(lines, "\r\n") + "\r\n\r\n")
	if err != nil {
		t.Fatal(err)
	}
	return m.(M)
}

// invite is an INVITE that passed two proxies.
func invite(t testing.TB, lines ...string) *sip.Request {
	return parse[*sip.Request](t, append([]string{
		"INVITE sip:bob@b.example SIP/2.0",
		"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1",
		"From: Alice <sip:alice@a.example>;tag=a",
		"To: <sip:bob@b.example>",
		"Call-ID: 1@a.example",
		"CSeq: 7 INVITE",
		"Max-Forwards: 70",
	}, lines...)...)
}

func answer(t testing.TB, lines ...string) *sip.Response {
	return parse[*sip.Response](t, append([]string{
		"SIP/2.0 200 OK",
		"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1",
		"From: Alice <sip:alice@a.example>;tag=a",
		"To: <sip:bob@b.example>;tag=b",
		"Call-ID: 1@a.example",
		"CSeq: 7 INVITE",
	}, lines...)...)
}

// routes returns the values of Route in a request.
func routes(t *testing.T, r *sip.Request) []string {
	t.Helper()
	if err := r.Err(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for route, err := range sip.All[sip.Route](r) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, sip.Address(route).String())
	}
	return got
}

// The caller takes the Record-Route of the 2xx in reverse, the callee that of
// the INVITE as it stands (RFC 3261 sections 12.1.1 and 12.1.2).
func TestRouteSetIsReversedForTheCaller(t *testing.T) {
	recorded := []string{"Record-Route: <sip:p2.example;lr>, <sip:p1.example;lr;x=1>", "Contact: <sip:peer@192.0.2.9>"}
	caller, err := newCaller(invite(t), answer(t, recorded...))
	if err != nil {
		t.Fatal(err)
	}
	callee, err := newCallee(invite(t, recorded...), "b")
	if err != nil {
		t.Fatal(err)
	}
	p1, p2 := "<sip:p1.example;lr;x=1>", "<sip:p2.example;lr>"
	if got, want := routes(t, caller.request(sip.BYE, 8)), []string{p1, p2}; !slices.Equal(got, want) {
		t.Errorf("the caller's routes are %v, want %v", got, want)
	}
	if got, want := routes(t, callee.request(sip.BYE, 1)), []string{p2, p1}; !slices.Equal(got, want) {
		t.Errorf("the callee's routes are %v, want %v", got, want)
	}
	if caller.localSeq != 7 || caller.remoteSet {
		t.Errorf("the caller's numbers are %d and %v, want 7 and none yet", caller.localSeq, caller.remoteSet)
	}
	if callee.localSeq != 0 || callee.remoteSeq != 7 {
		t.Errorf("the callee's numbers are %d and %d, want 0 and 7", callee.localSeq, callee.remoteSeq)
	}
}

// A strict router gets itself as Request-URI, without what may not stand there,
// and the target as the last Route (RFC 3261 section 12.2.1.1, its example).
func TestStrictRouterIsTheRequestURI(t *testing.T) {
	callee, err := newCallee(invite(t,
		"Record-Route: <sip:proxy1;method=INVITE?Subject=x>,<sip:proxy2>,<sip:proxy3;lr>,<sip:proxy4>",
		"Contact: <sip:user@remoteua;method=BYE?Via=x>"), "b")
	if err != nil {
		t.Fatal(err)
	}
	req := callee.request(sip.INFO, 1)
	if got, want := req.URI().String(), "sip:proxy1"; got != want {
		t.Errorf("Request-URI %s, want %s", got, want)
	}
	want := []string{"<sip:proxy2>", "<sip:proxy3;lr>", "<sip:proxy4>", "<sip:user@remoteua>"}
	if got := routes(t, req); !slices.Equal(got, want) {
		t.Errorf("Route %v, want %v", got, want)
	}
}

// A peer of RFC 2543 has no tags. Its requests and ours within the dialog then
// have none either (RFC 3261 sections 12.1.1, 12.1.2 and 12.2.1.1).
func TestPeerWithoutTag(t *testing.T) {
	noTag := parse[*sip.Response](t,
		"SIP/2.0 200 OK", "Via: SIP/2.0/UDP a.example;branch=z9hG4bK1",
		"From: <sip:alice@a.example>;tag=a", "To: <sip:bob@b.example>",
		"Call-ID: 1@a.example", "CSeq: 7 INVITE")
	d, err := newCaller(invite(t), noTag)
	if err != nil {
		t.Fatal(err)
	}
	req := d.request(sip.BYE, 8)
	if got := req.To().Tag(); got != "" {
		t.Errorf("To tag %q, want none", got)
	}
	if got, want := req.URI().String(), "sip:bob@b.example"; got != want {
		t.Errorf("without a Contact the request goes to %s, want the Request-URI of the INVITE, %s", got, want)
	}
	old := parse[*sip.Request](t,
		"INVITE sip:bob@b.example SIP/2.0", "Via: SIP/2.0/UDP a.example",
		"From: <sip:alice@a.example>", "To: <sip:bob@b.example>",
		"Call-ID: 1@a.example", "CSeq: 7 INVITE", "Contact: <sip:alice@192.0.2.1>")
	if d, err = newCallee(old, "b"); err != nil {
		t.Fatal(err)
	}
	if got := d.request(sip.BYE, 1).To().Tag(); got != "" {
		t.Errorf("To tag %q, want none", got)
	}
}

// A Contact or Record-Route that no request can go to is refused, and a bad
// Contact in a refresh leaves the target alone.
func TestUnusableTargets(t *testing.T) {
	for _, line := range []string{
		"Contact: *", "Contact: <tel:+15551234>", "Contact: <mailto:a@example.com>", "Contact: <sip:",
	} {
		if _, err := newCallee(invite(t, line), "b"); err == nil {
			t.Errorf("%s in an INVITE is accepted", line)
		}
		if _, err := newCaller(invite(t), answer(t, line)); err == nil {
			t.Errorf("%s in a 2xx is accepted", line)
		}
		d, err := newCaller(invite(t), answer(t, "Contact: <sip:bob@192.0.2.2>"))
		if err != nil {
			t.Fatal(err)
		}
		d.refresh(answer(t, line))
		if got, want := d.target, "sip:bob@192.0.2.2"; got != want {
			t.Errorf("%s makes the target %s, want %s", line, got, want)
		}
	}
	for _, line := range []string{"Record-Route: <tel:+1>", "Record-Route: <sip:a;lr>, <sip:"} {
		if _, err := newCallee(invite(t, line, "Contact: <sip:a@192.0.2.1>"), "b"); err == nil {
			t.Errorf("%s in an INVITE is accepted", line)
		}
	}
	if _, err := newCallee(invite(t), "b"); err == nil {
		t.Error("an INVITE without a Contact is accepted")
	}
}

// Lower numbers are out of order, gaps are not (RFC 3261 section 12.2.2).
func TestSequence(t *testing.T) {
	var d state
	for _, step := range []struct {
		seq  uint32
		want bool
	}{{5, true}, {5, false}, {4, false}, {9, true}, {10, true}, {1<<32 - 1, true}, {11, false}} {
		if got := d.inOrder(step.seq); got != step.want {
			t.Errorf("inOrder(%d) = %v, want %v", step.seq, got, step.want)
		}
	}
}

// The peer's answers do not move a secure dialog into the clear either, nor do they
// cost it (RFC 5630 section 5.1.2).
func TestPlainContactInAnswerIsPassedOver(t *testing.T) {
	secure := invite(t).With(sip.RequestURI{Scheme: "sips", Host: "b.example"})
	d, err := newCaller(secure, answer(t, "Contact: <sips:b@192.0.2.2>"))
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ contact, want string }{
		{"<sip:b@192.0.2.3>", "sips:b@192.0.2.2"}, {"<sips:b@192.0.2.4>", "sips:b@192.0.2.4"},
	} {
		d.refresh(answer(t, "Contact: "+step.contact))
		if d.target != step.want {
			t.Errorf("after %s the target is %s, want %s", step.contact, d.target, step.want)
		}
	}
}

// The INVITE of a dialog has its tag, in which case means nothing (RFC 3261 section 7.3.1),
// and its Call-ID, in which it does.
func TestInviteBelongs(t *testing.T) {
	d, err := newCallee(invite(t, "Contact: <sip:a@192.0.2.1>"), "b")
	if err != nil {
		t.Fatal(err)
	}
	from := sip.From(sip.Address{URI: d.uri()})
	for _, c := range []struct {
		edit sip.Edit
		want bool
	}{{from.WithTag("A"), true}, {from.WithTag("c"), false}, {sip.CallID("1@A.example"), false}} {
		if got := d.belongs(invite(t).With(c.edit)); got != c.want {
			t.Errorf("with %v belongs() = %v, want %v", c.edit, got, c.want)
		}
	}
}
