package sip

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
)

// seeds adds every message of testdata, and the must-survive list.
func seeds(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*.[sd][ia][pt]"))
	if err != nil || len(files) < 60 {
		f.Fatalf("%d seeds, %v", len(files), err)
	}
	for _, file := range files {
		f.Add(readFile(f, strings.TrimPrefix(filepath.ToSlash(file), "testdata/")))
	}
	for _, h := range hostiles() {
		if len(h.text) < 4096 {
			f.Add(h.text)
		}
	}
	for _, p := range printedMessages(f) {
		f.Add(p.text)
	}
	f.Add(tweak("From", "From: \"a\\\x00\" <sip:a.example>\r\n ;tag=\"x\r\n y\""))
}

// FuzzParse reads all there is in a message, and edits it: what With writes is
// what was asked for, and the bytes that it was not to touch are the same.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text string) {
		m, err := Parse(text)
		copied, errBytes := ParseBytes([]byte(text))
		if (err == nil) != (errBytes == nil) || err == nil && !sameFields(copied, m) || err != nil && *err.(*SyntaxError) != *errBytes.(*SyntaxError) {
			t.Fatalf("Parse says %v, ParseBytes %v", err, errBytes)
		}
		if err != nil {
			replySafe(t, err)
			return
		}
		if !strings.Contains(text, m.String()) {
			t.Fatal("the message is not part of its text")
		}
		readAll(m)
		if again := mustParse(t, m.String()); !sameFields(again, m) {
			t.Fatal("the text of a message parses to another message")
		}
		if req, ok := m.(*Request); ok {
			for _, status := range []Status{100, 180, 200, 404} {
				resp := req.Reply(status)
				if resp.Err() != nil {
					continue // a single line of 64 kB
				}
				if again := mustParse(t, resp.String()); !sameFields(again, resp) || again.Via() != req.Via() || again.From() != req.From() || again.CSeq() != req.CSeq() {
					t.Fatalf("Reply(%d) =\n%q", status, resp)
				}
			}
		}

		via := Via{Transport: "TCP", Host: "p.example", Port: 5070, Params: ";branch=z9hG4bKp"}
		route := Route{URI: URI{Scheme: "sip", Host: "r.example", Params: ";lr"}}
		edits := []Edit{MaxForwards(17), Push(via), Pop("Via"), Push(via), Push(route), Del("Subject"),
			Field{"X-Fuzz", "1"}, Body{"text/plain", "hello"}}
		if _, ok := m.(*Request); ok {
			edits = append(edits, ReasonPhrase("of no use"))
		}
		out := with(m, edits...)
		if out.Err() != nil {
			return
		}
		if again := mustParse(t, out.String()); !sameFields(again, out) {
			t.Fatalf("With() wrote what parses to something else:\n%q", out)
		}
		first, err := Get[Route](out)
		if err != nil || first != route || out.Via() != via || out.Body() != "hello" {
			t.Fatalf("With() wrote\n%q", out)
		}
		if _, ok := out.Value("s"); ok {
			t.Fatalf("Subject is still in\n%q", out)
		}
		for f := range out.Fields() {
			switch lookupHeader(f.Name) {
			case idMaxForwards, idVia, idRoute, idContentType, idContentLength:
			case 0:
				if equalFold(f.Name, "X-Fuzz") {
					continue
				}
				fallthrough
			default:
				if !strings.Contains(text, f.Name) {
					t.Fatalf("%s is from nowhere", f.Name)
				}
			}
		}
		if same := with(m); same.String() != m.String() {
			t.Fatalf("With() without edits wrote\n%q\nfor\n%q", same, m)
		}
	})
}

// replySafe looks at the answer to a malformed request.
func replySafe(t *testing.T, err error) {
	e := err.(*SyntaxError)
	resp := e.Reply()
	if resp == nil {
		return
	}
	if strings.HasPrefix(e.text, "ACK ") || e.Status == 0 || resp.Err() != nil {
		t.Fatalf("Reply() to %q = %v", e.text, resp)
	}
	for f := range resp.Fields() {
		switch lookupHeader(f.Name) {
		case idVia, idFrom, idTo, idCallID, idCSeq, idContentLength:
		default:
			t.Fatalf("%s in a reply", f.Name)
		}
	}
	if resp.Via().Host == "" {
		t.Fatal("a reply that finds no way back")
	}
	readAll(resp)
	// It parses, unless the request lacked or broke what a reply repeats.
	if _, err := Parse(resp.String()); err != nil {
		switch where := err.(*SyntaxError).Where; where {
		case "From", "To", "Call-ID", "CSeq":
		default:
			t.Fatalf("the reply is broken in %s: %v\n%q", where, err, resp)
		}
	}
}

// FuzzReader cuts a stream in three ways: not at all, at every byte, and where
// the cuts say. All say the same.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"invite.sip", "ok.sip"} {
		msg := readFile(f, "messages/"+name)
		f.Add(msg+"\r\n\r\n"+msg+"\r\n", []byte{100, 0, 255, 3})
	}
	f.Add(framed(1, "a")+tweak("Content-Length")+framed(2, ""), []byte{1})
	f.Fuzz(func(t *testing.T, stream string, cuts []byte) {
		read := func(r io.Reader) string {
			var events strings.Builder
			cfg := &ReaderConfig{Ping: func() { events.WriteString("ping|") }, Pong: func() { events.WriteString("pong|") }, MaxBody: 5000}
			texts, err := collect(NewReader(r, cfg))
			if err != io.EOF && err != io.ErrUnexpectedEOF && !errors.Is(err, ErrFraming) {
				t.Fatal(err)
			}
			return events.String() + strings.Join(texts, "|") + "|" + err.Error()
		}
		whole := read(strings.NewReader(stream))
		if bytes := read(iotest.OneByteReader(strings.NewReader(stream))); bytes != whole {
			t.Fatalf("at once\n%q\nby bytes\n%q", whole, bytes)
		}
		var pieces []io.Reader
		rest := stream
		for _, n := range cuts {
			n := min(int(n), len(rest))
			pieces = append(pieces, strings.NewReader(rest[:n]))
			rest = rest[n:]
		}
		pieces = append(pieces, strings.NewReader(rest))
		if cut := read(io.MultiReader(pieces...)); cut != whole {
			t.Fatalf("at once\n%q\ncut at %d\n%q", whole, cuts, cut)
		}
	})
}

// FuzzURI writes two URIs and reads them again, compares them both ways, and
// makes the request that one asks for.
func FuzzURI(f *testing.F) {
	all := []string{"sip:alice:pw@[2001:db8::1]:5070;lr;a=%20b?c=d&e=", "tel:+1-2;ext=3;phone-context=+1", "urn:a:b", "SIPS:%61@B.example", "x:%41%zz",
		"sip:a;%6C%72;n%61=%25%34@h", "sip:h;method=MESSAGE?body=a&c=a/b", "sip:*%23;x=%3A@h;user=phone", "sip:h;maddr=[::1]?s=a"}
	for i, s := range all {
		f.Add(s, all[(i+1)%len(all)])
		f.Add(s, s+";a")
	}
	f.Fuzz(func(t *testing.T, s, s2 string) {
		u, err := ParseURI(s)
		if err != nil {
			return
		}
		again, err := ParseURI(u.String())
		if err != nil || again != u || !u.Equal(u) || !u.Equal(again) {
			t.Fatalf("%q is %#v; %q is %#v, %v", s, u, u.String(), again, err)
		}
		if strings.ContainsAny(u.String(), "\r\n\x00 <>\"") {
			t.Fatalf("%q can break out of a field", u.String())
		}
		u.HostPort()

		if v, err := ParseURI(s2); err == nil && u.Equal(v) != v.Equal(u) {
			t.Fatalf("%q and %q: %v and %v", s, s2, u.Equal(v), v.Equal(u))
		}
		letter := URI{Scheme: u.Scheme, Opaque: u.String()[len(u.Scheme)+1:]}
		if !letter.Equal(u) || !u.Equal(letter) {
			t.Fatalf("%q is not what it says", s)
		}

		method, edits, refused := u.Requested()
		req := NewRequest(method, u, edits...)
		if got := req.URI(); req.Err() == nil && (got.Headers != "" || u.isSIP() && got.Params.Has("method") || got.Scheme != u.Scheme) {
			t.Fatalf("%q makes a request to %q", s, got)
		}
		n := 0
		for range u.Header() {
			n++
		}
		if wanted := len(edits) + len(refused); wanted > n || wanted < n-2 {
			t.Fatalf("%q: %d headers become %d edits and %d are refused", s, n, len(edits), len(refused))
		}

		if tel, ok := u.Tel(); ok {
			sip := tel.SIP("h")
			if back, ok := sip.Tel(); !ok || back.SIP("h") != sip || sip != mustURI(t, sip.String()) {
				t.Fatalf("%q is %q is %#v is %q, %v", s, tel, sip, back, ok)
			}
		}
	})
}

// FuzzURIText has a URI carry any text, and it arrives.
func FuzzURIText(f *testing.F) {
	for _, s := range []string{"alice", "50%41", "a b@c:d", "\x00\r\n\xff", "a;b=c&d?e", "\"x\"", "%"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if name == "" || len(name)+len(text) > 3000 {
			return
		}
		made := URI{Scheme: "sip", Host: "a.example", Params: ";lr"}.WithUsername(text).WithParam(name, text).WithHeader(name, text)
		got, err := ParseURI(made.String())
		if err != nil || got.Username() != text || !got.Equal(made) {
			t.Fatalf("%q makes %q, %v", text, made, err)
		}
		if again, err := ParseURI(made.WithParam(name, "x").WithParam(name, text).String()); err != nil || again != got {
			t.Fatalf("%q set again makes %q, %v", name, again, err)
		}
		for n, value := range got.Header() {
			if n != name || value != text {
				t.Fatalf("header %q is %q, want %q and %q", n, value, name, text)
			}
		}
		// A part that is set as a field is written with the escapes it needs, and
		// equal to itself when read again.
		field := URI{Scheme: "sip", User: text, Host: "a.example", Params: Params(";lr").With("x", text)}
		if read, err := ParseURI(field.String()); err == nil && (!read.Equal(field) || !field.Equal(read)) {
			t.Fatalf("%#v is not equal to %#v", field, read)
		}
	})
}

// FuzzHeaders gives one value to every type, and what is read is written and
// read again as the same.
func FuzzHeaders(f *testing.F) {
	for _, s := range []string{
		`"A \"B\"" <sip:a@b;lr>;tag=1;x="y;z"`, "SIP / 2.0 / UDP [::1] : 5060 ;branch = z", `SIP/2.0/TCP a;oc=20;oc-algo="loss";oc-validity=500;oc-seq=1282321615.782`, "70", "1 INVITE", "a, b ,,c", ",", `0"`,
		`Digest realm="a, b", qop="auth,auth-int", nc=1`, "18 (x (y) \\)) ;duration=1", "text/plain ; charset=utf-8", "*", "sip:a;b=c",
		"Sat, 13 Nov 2010 23:29:00 GMT", "54.2 0.005", `301 [::1]:5060 "a \"b\""`, "776656 1 INVITE", `Q.850 ;cause=16 ;text="Terminated";x`,
		"1800;refresher=uac", "terminated;reason=timeout;retry-after=1", "presence.winfo;id=1", "ets.0", "tls;q=0.2", "*/*;q=.5",
		"a@b;to-tag=1 ;x;From-Tag = 2;early-only", "a;local-tag=1;remote-tag=2", `<sip:a@b?Reason=SIP;cause=302;text="x y">;index=1.1`,
		`*;methods="INVITE,BYE";+sip.x="#>=2,!a";require`, "header;id, user", "tel:1;phone-context=a.example", `300 ; code="x"`, "false;x", "yes=no",
		`Digest username*=UTF-8''a%C3%A4, realm=b, nonce="c", stale=true, qop="auth, auth-int"`, `Digest a="b, C d", Bearer e`,
		"a.b.c;x=y;info=<https://d.example/e>;ppt=shaken", "00ff;encoding=hex", "orig-ioi=a;icid-value=b", `icid-value="a=b";x=c`,
		"3GPP-WLAN;network-provided", "urn:urn-7:3gpp-service.ims.icsi.mmtel", `"Visited network";x`, `nextnonce="a", nc=1`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\r\n") || value != trimWS(value) {
			return // ParseValue gets neither folds nor white space around the value
		}
		for _, header := range typedHeaders {
			header.round(t, value)
		}
		overload(t, value)
		first, rest := splitList(value)
		if len(first)+len(rest) > len(value) {
			t.Fatalf("splitList(%q) = %q, %q", value, first, rest)
		}
		if first, rest = splitChallenges(value); len(first)+len(rest) > len(value) || rest == value && value != "" {
			t.Fatalf("splitChallenges(%q) = %q, %q", value, first, rest)
		}
	})
}

// overload reads the oc parameters of a Via, and writes and reads them again.
func overload(t *testing.T, value string) {
	via, err := Via{}.ParseValue(value)
	if err != nil {
		return
	}
	if oc, ok := via.OverloadControl(); ok {
		written := via.WithOverloadControl(oc)
		if again, _ := written.OverloadControl(); again != oc {
			t.Fatalf("%q is %v; %v is %v", value, oc, written, again)
		}
		typed[Via]{}.round(t, string(written.AppendValue(nil)))
	}
}

// readMore calls the methods that read more of a value.
func readMore(h any) {
	switch h := h.(type) {
	case Contact:
		h.Q()
		h.RegID()
		h.Expires()
		h.PubGRUU()
		h.TempGRUU()
		h.WithInstance(h.Instance())
		h.URI.WithPushParams(PushParams{PRID: h.Display}).PushParams()
		for name, f := range h.Params.Features() {
			for range f.All() {
			}
			h.Params.WithFeature(name, f)
		}
	case HistoryInfo:
		h.Index()
		h.Target()
		h.Reason()
		h.Private()
	case Diversion:
		h.Reason()
		h.Counter()
	case WWWAuthenticate:
		if d, err := Challenge(h).Digest(); err == nil {
			if again, err := d.Challenge().Digest(); err != nil || !reflect.DeepEqual(again, d) {
				panic(fmt.Sprintf("%v is %#v and then %#v, %v", h, d, again, err))
			}
		}
		if d, err := Challenge(h).Credentials(); err == nil {
			if again, err := d.Challenge().Credentials(); err != nil || again != d {
				panic(fmt.Sprintf("%v is %#v and then %#v, %v", h, d, again, err))
			}
		}
	case UserToUser:
		h.Bytes()
		h.Purpose()
		h.Content()
	case Identity:
		h.Alg()
		h.PPT()
	}
}
