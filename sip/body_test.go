package sip

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// statusOf returns the status of an error as tests show it: 200 for none, 404
// for ErrMissing.
func statusOf(err error) Status {
	var bad *SyntaxError
	switch {
	case err == nil:
		return StatusOK
	case errors.As(err, &bad):
		return bad.Status
	case errors.Is(err, ErrMissing):
		return StatusNotFound
	}
	return 0
}

// The session description of an INVITE, however it is wrapped.
func TestFindBody(t *testing.T) {
	sdp := func(s string, lines ...string) string {
		return "--b\n" + strings.Join(append(lines, "Content-Type: application/sdp"), "\n") + "\n\n" + s + "\n"
	}
	const isup = "--b\nContent-Type: application/isup;version=itu-t92+\nContent-Disposition: signal;handling=optional\n\n\x01\x00\n"
	const end = "--b--\n"
	alternative := func(body string) string { return carry("multipart/alternative;boundary=b", crlfs(body)) }
	related := func(params, body string) string {
		return carry("multipart/related;boundary=b"+params, crlfs(body))
	}
	for _, test := range []struct {
		name, text string
		want       string
		status     Status
	}{
		{"the body itself", carry("Application/SDP;x=y", "v=0"), "v=0", 200},
		{"no body", tweak(""), "", 404},
		{"a type without a body", tweak("", "Content-Type: application/sdp"), "", 404},
		{"a broken type without a body", tweak("", "Content-Type: application"), "", 404},
		{"another type", carry("text/plain", "v=0"), "", 404},
		{"no type", tweak("Content-Length") + "v=0", "", 404},
		{"broken type", carry("application", "v=0"), "", 400},
		{"with what SIP-T adds", mixed(sdp("v=0") + isup + end), "v=0", 200},
		{"behind what SIP-T adds", mixed(isup + sdp("v=0") + end), "v=0", 200},
		{"the first of several", mixed(sdp("v=1") + sdp("v=2") + end), "v=1", 200},
		{"behind one for early media", mixed(sdp("v=1", "Content-Disposition: early-session") + sdp("v=2") + end), "v=2", 200},
		{"behind one that is for something else", mixed(sdp("v=1", "Content-Disposition: by-reference") + sdp("v=2", "Content-Disposition: Session;handling=required") + end), "v=2", 200},
		{"behind a broken part", mixed("--b\nx\n\n" + sdp("v=0") + end), "v=0", 200},
		{"broken", mixed("--b\nContent-Type: application\n\nv=0\n" + end), "", 400},
		{"broken disposition", mixed(sdp("v=0", "Content-Disposition: ;x") + end), "", 400},
		{"the last alternative", alternative(sdp("v=1") + sdp("v=2") + end), "v=2", 200},
		{"the last alternative that is known", alternative(sdp("v=1") + "--b\nContent-Type: application/sdpng\n\nx\n" + end), "v=1", 200},
		{"the last alternative that is not encoded", alternative(sdp("v=1") + sdp("v=2", "Content-Encoding: gzip") + end), "v=1", 200},
		{"in alternatives in a mixture", mixed(isup + "--b\nContent-Type: multipart/alternative;boundary=c\n\n" +
			strings.ReplaceAll(sdp("v=1")+sdp("v=2")+end, "--b", "--c") + end), "v=2", 200},
		{"unknown kind of multipart", carry("multipart/x-new;boundary=b", crlfs(sdp("v=0")+end)), "v=0", 200},
		{"root of a compound", related("", sdp("v=0")+"--b\nContent-Type: image/png\n\nx\n"+end), "v=0", 200},
		{"named root", related(`;start="<2@a>"`, sdp("v=1", "Content-ID: <1@a>")+sdp("v=2", "Content-ID: <2@a>")+end), "v=2", 200},
		{"named root that is not there", related(`;start="<3@a>"`, sdp("v=1", "Content-ID: <1@a>")+end), "v=1", 200},
		{"not the root", related("", "--b\nContent-Type: image/png\n\nx\n"+sdp("v=0")+end), "", 404},
		{"no root", related("", end), "", 400},
		{"base64", mixed(sdp("dj0w\nDQo=", "Content-Transfer-Encoding: Base64") + end), "v=0\r\n", 200},
		{"broken base64", mixed(sdp("dj0*", "Content-Transfer-Encoding: base64") + end), "", 400},
		{"quoted-printable", mixed(sdp("v=3D=\n0", "Content-Transfer-Encoding: quoted-printable") + end), "v=0", 200},
		{"unknown transfer encoding", mixed(sdp("v=0", "Content-Transfer-Encoding: x-uuencode") + end), "", 415},
		{"identity", carry("application/sdp", "v=0", "Content-Encoding: identity"), "v=0", 200},
		{"identity in capitals", carry("application/sdp", "v=0", "Content-Encoding: IDENTITY"), "v=0", 200},
		{"7bit", carry("application/sdp", "v=0", "Content-Transfer-Encoding: 7bit"), "v=0", 200},
		{"8bit", carry("application/sdp", "v=0", "Content-Transfer-Encoding: 8bit"), "v=0", 200},
		{"8bit in capitals", carry("application/sdp", "v=0", "Content-Transfer-Encoding: 8BIT"), "v=0", 200},
		{"compressed", carry("application/sdp", "v=0", "e: gzip"), "", 415},
		{"compressed mixture", carry("multipart/mixed;boundary=b", crlfs(sdp("v=0")+end), "Content-Encoding: gzip"), "", 415},
		{"in a message in a part", mixed("--b\nContent-Type: message/sip\n\n" + strings.ReplaceAll(carry("application/sdp", "v=0"), "\r\n", "\n") + "\n" + end), "", 404},
	} {
		body, err := FindBody(mustParse(t, test.text), "application/sdp", "session")
		if body.Content != test.want || statusOf(err) != test.status {
			t.Errorf("%s: FindBody() = %q, %v, want %q and %d", test.name, body.Content, err, test.want, test.status)
		}
	}
}

// A body that is not in the encoding it claims is refused at its first byte that
// is not, or as a whole.
func TestContentErrors(t *testing.T) {
	for _, test := range []struct{ encoding, body, at, want string }{
		{"base64", "dj0*", "*", "expected base64"},
		{"base64", " \r\n dj0wDQoN\r\ndj0wDQ.=\r\n", ".", "expected base64"},
		{"BASE64", "dj0", "dj0", "expected base64"},
		{"quoted-printable", "v=3D0\x01", "v=3D0\x01", "expected quoted-printable"},
		{"x-uuencode", "v=0", "x-uuencode", "expected base64, quoted-printable or none"},
	} {
		m := mustParse(t, carry("text/plain", test.body, "Content-Transfer-Encoding: "+test.encoding))
		_, err := Content(m)
		var bad *SyntaxError
		if !errors.As(err, &bad) || bad.Msg != test.want || !strings.HasPrefix(m.String()[bad.Offset:], test.at) {
			t.Errorf("Content() of %q in %s: %v, want %s at %q", test.body, test.encoding, err, test.want, test.at)
		}
	}
}

// The type comes with its parameters, and any disposition may be taken.
func TestFindBodyType(t *testing.T) {
	req := mustParse(t, mixed("--b\nContent-Type: application / isup ; version=itu-t92+\nContent-Disposition: signal\n\n\x01\n--b\n\nHello\n--b--\n"))
	for _, test := range []struct {
		mediaType, disposition string
		want                   Body
	}{
		{"application/ISUP", "", Body{"application/isup; version=itu-t92+", "\x01"}},
		{"application/isup", "signal", Body{"application/isup; version=itu-t92+", "\x01"}},
		{"application/isup", "render", Body{}},
		{"text/plain", "render", Body{"text/plain;charset=us-ascii", "Hello"}},
		{"multipart/mixed", "", Body{"multipart/mixed;boundary=b", req.Body()}},
	} {
		got, err := FindBody(req, test.mediaType, test.disposition)
		if got != test.want || err != nil && err != ErrMissing {
			t.Errorf("FindBody(%s, %s) = %q, %v, want %q", test.mediaType, test.disposition, got, err, test.want)
		}
	}
}

// RFC 4662 section 6: a resource list whose entries refer to parts, one of
// which is a list again.
func TestFindIDResourceList(t *testing.T) {
	notify := mustParse(t, carry("multipart/related;type=\"application/rlmi+xml\";\r\n start=\"<list@pres.example>\";\r\n boundary=\"50UBf\"", crlfs(
		"--50UBf\nContent-Transfer-Encoding: binary\nContent-ID: <alice@pres.example>\nContent-Type: application/pidf+xml;charset=\"UTF-8\"\n\nopen\n"+
			"--50UBf\nContent-ID: <list@pres.example>\nContent-Type: application/rlmi+xml\n\n<instance cid=\"alice@pres.example\"/>\n"+
			"--50UBf\nContent-ID: <more@pres.example>\nContent-Type: multipart/related;boundary=in\n\n"+
			"--in\nContent-ID: <100%25@pres.example>\nContent-Type: application/rlmi+xml\n\nempty\n--in--\n"+
			"--50UBf--\n"), "Content-ID: <all@pres.example>"))
	list, err := FindBody(notify, "application/rlmi+xml", "")
	if err != nil || !strings.Contains(list.Content, "alice@pres.example") {
		t.Errorf("FindBody() = %q, %v", list, err)
	}
	for _, test := range []struct{ reference, want string }{
		{"alice@pres.example", "open"},
		{"<alice@pres.example>", "open"},
		{"cid:alice@pres.example", "open"},
		{"CID:%61lice%40pres.example", "open"},
		{"100%25@pres.example", "empty"},
		{ContentID("100%25@pres.example").URI().String(), "empty"},
		{"all@pres.example", notify.Body()},
		{"Alice@pres.example", ""},
		{"bob@pres.example", ""},
		{"cid:", ""},
		{"", ""},
	} {
		e, err := FindID(notify, test.reference)
		switch {
		case test.want == "":
			if e != nil || err != ErrMissing {
				t.Errorf("FindID(%s) = %v, %v, want nothing", test.reference, e, err)
			}
		case err != nil || e.Body() != test.want:
			t.Errorf("FindID(%s) = %v, %v, want %q", test.reference, e, err, test.want)
		}
	}
}

// RFC 3892 section 7.4: a transfer target looks at who sent the call to it.
func TestFindIDReferredBy(t *testing.T) {
	invite := mustParse(t, carry("multipart/mixed; boundary=unique-boundary-1", crlfs(
		"--unique-boundary-1\nContent-Type: application/sdp\nContent-Length: 5\n\nv=0\n\n"+
			"--unique-boundary-1\nContent-Type: multipart/signed;\n  protocol=\"application/pkcs7-signature\";\n  micalg=sha1; boundary=dragons39\n"+
			"Content-ID: <23094202342.10123091233@A.example>\n\n"+
			"--dragons39\nContent-Type: message/sipfrag\nContent-Disposition: aib; handling=optional\n\n"+
			"Date: Thu, 21 Feb 2002 13:02:03 GMT\nReferred-By: <sip:A.example>;\n    cid=\"23094202342.10123091233@A.example\"\n\n"+
			"--dragons39\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n"+
			"Content-Disposition: attachment; filename=smime.p7s;\n   handling=required\n\nc2lnbmF0dXJl\n"+
			"--dragons39--\n--unique-boundary-1--\n"), `Referred-By: <sip:A.example>;cid="23094202342.10123091233@A.example"`))
	referredBy, _ := invite.Value("Referred-By")
	by, err := ParseAddress(referredBy)
	if err != nil {
		t.Fatal(err)
	}
	cid, _ := by.Params.Get("cid")
	token, err := FindID(invite, cid)
	if err != nil {
		t.Fatalf("FindID(%s) = %v", cid, err)
	}
	signed := parts(t, token)
	signature, err := Content(signed[1])
	if err != nil || signature != "signature" {
		t.Errorf("Content() of the signature = %q, %v", signature, err)
	}
	if d, err := Disposition(signed[1]); err != nil || !d.Is("Attachment") || !d.Required() {
		t.Errorf("Disposition() of the signature = %v, %v", d, err)
	}
	aib, err := ParseFragment(signed[0].Body())
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := aib.Value("Referred-By"); !strings.Contains(got, cid) || aib.Status() != 0 || aib.Method() != "" {
		t.Errorf("the fragment says Referred-By: %s", got)
	}
}

// What a UA that knows session descriptions, pictures and text answers.
func TestCheckBody(t *testing.T) {
	understood := func(t ContentType, d ContentDisposition) bool {
		switch {
		case t.Is("application/sdp"):
			return d.Is("session")
		case t.Is("image/png"):
			return d.Is("icon") || d.Is("render")
		}
		return t.Is("text/plain")
	}
	const end = "--b--\n"
	part := func(mediaType, disposition string) string {
		return fmt.Sprintf("--b\nContent-Type: %s\nContent-Disposition: %s\n\nx\n", mediaType, disposition)
	}
	alternative := func(lines string, body string) string {
		return carry("multipart/alternative;boundary=b"+lines, crlfs(body))
	}
	for _, test := range []struct {
		name, text string
		want       Status
	}{
		{"no body", tweak(""), 200},
		{"known", carry("application/sdp", "v=0"), 200},
		{"unknown", carry("application/x", "v=0"), 415},
		{"unknown but optional", carry("application/x", "v=0", "Content-Disposition: signal;handling=Optional"), 200},
		{"handling of another kind", carry("application/x", "v=0", "Content-Disposition: signal;handling=x"), 415},
		{"known for something else", carry("application/sdp", "v=0", "Content-Disposition: render"), 415},
		{"without a type", tweak("Content-Length") + "v=0", 400},
		{"without a subtype", carry("application", "v=0"), 400},
		{"broken disposition", carry("application/sdp", "v=0", "Content-Disposition:"), 400},
		{"compressed", carry("application/sdp", "v=0", "Content-Encoding: gzip"), 415},
		{"base64", carry("application/sdp", "dj0w", "Content-Transfer-Encoding: base64"), 200},
		{"base64 that is none", carry("application/sdp", "v=0", "Content-Transfer-Encoding: base64"), 400},
		{"mixture of known ones", mixed(part("application/sdp", "session") + part("image/png", "icon") + end), 200},
		{"mixture with an unknown one", mixed(part("application/sdp", "session") + part("image/gif", "icon") + end), 415},
		{"mixture with an unknown optional one", mixed(part("application/sdp", "session") + part("image/gif", "icon;handling=optional") + end), 200},
		{"optional mixture", carry("multipart/mixed;boundary=b", crlfs(part("image/gif", "icon")+end), "Content-Disposition: render;handling=optional"), 200},
		{"mixture with a broken part", mixed(part("application/sdp", "session") + "--b\nx\n\n" + end), 400},
		{"mixture without a boundary", carry("multipart/mixed", "v=0"), 400},
		{"one alternative known", alternative("", part("application/sdp", "session")+part("application/x", "session")+end), 200},
		{"all alternatives known", alternative("", part("application/sdp", "session")+part("text/plain", "session")+end), 200},
		{"no alternative known", alternative("", part("application/x", "session;handling=optional")+part("application/y", "session")+end), 415},
	} {
		err := CheckBody(mustParse(t, test.text), understood)
		if got := statusOf(err); got != test.want {
			t.Errorf("%s: CheckBody() = %d (%v), want %d", test.name, got, err, test.want)
		}
	}
}

func TestDisposition(t *testing.T) {
	for _, test := range []struct {
		text string
		want ContentDisposition
	}{
		{carry("application/SDP", "x"), ContentDisposition{Type: "session"}},
		{carry("text/plain", "x"), ContentDisposition{Type: "render"}},
		{tweak(""), ContentDisposition{Type: "render"}},
		{carry("text/plain", "x", "Content-Disposition: alert ; handling=optional"), ContentDisposition{"alert", "; handling=optional"}},
	} {
		if got, err := Disposition(mustParse(t, test.text)); got != test.want || err != nil {
			t.Errorf("Disposition() = %v, %v, want %v", got, err, test.want)
		}
	}
}

func TestContentHeaders(t *testing.T) {
	m := mustParse(t, carry("text/plain", "x", "Content-ID:  <a@b> ", "MIME-Version: 1.0", "e: gzip , x", "Content-Encoding: y"))
	id, err1 := Get[ContentID](m)
	version, err2 := Get[MIMEVersion](m)
	codings, err3 := Get[ContentEncoding](m)
	if err := errors.Join(err1, err2, err3); err != nil || id != "a@b" || version != "1.0" || fmt.Sprint(codings) != "[gzip x y]" {
		t.Errorf("Get() = %s, %s, %s, %v", id, version, codings, err)
	}
	req := m.(*Request).With(ContentID("c@d"), ContentTransferEncoding("base64"), ContentEncoding{"identity"}, MIMEVersion("1.1"))
	for name, want := range map[string]string{"content-id": "<c@d>", "Content-Transfer-Encoding": "base64", "Content-Encoding": "identity", "MIME-Version": "1.1"} {
		if got, _ := req.Value(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	for _, value := range []string{"", "<>", "<a b>", "<a@b", "a@b>", "<a@b>, <c@d>", "<<a@b>>"} {
		if id, err := ContentID("").ParseValue(value); err == nil {
			t.Errorf("Content-ID %q is read as %q", value, id)
		}
	}
	for _, value := range []string{"", "1", "1.", "one", "1.0.0"} {
		if v, err := MIMEVersion("").ParseValue(value); err == nil {
			t.Errorf("MIME-Version %q is read as %q", value, v)
		}
	}
	for _, e := range []Edit{
		ContentDisposition{Type: "session;handling=optional"}, ContentDisposition{"a b", ""},
		ContentID("<a@b>"), ContentID("a@b>, <c@d"), ContentID(""), MIMEVersion("1"), ContentEncoding{"gzip, x"},
	} {
		if out := req.With(e); out.Err() == nil {
			t.Errorf("With(%#v) wrote\n%s", e, out)
		}
	}
}
