package sip

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// readRegistry returns the rows of a table of the registry, by their first
// column.
func readRegistry(t *testing.T, name string) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "registry", name))
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for i, line := range strings.Split(strings.TrimRight(string(b), "\n"), "\n") {
		row := strings.Split(line, "\t")
		if rows[row[0]] != nil {
			t.Errorf("%s: two rows for %s", name, row[0])
		}
		if i > 0 {
			rows[row[0]] = row
		}
	}
	return rows
}

// readConstants returns the constants of a source file and their values.
func readConstants(t *testing.T, name string) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	constants := map[string]string{}
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok {
			value := spec.Values[0].(*ast.BasicLit).Value
			if s, err := strconv.Unquote(value); err == nil {
				value = s
			}
			constants[spec.Names[0].Name] = value
		}
		return true
	})
	return constants
}

// sameSet complains of what is in the registry or in the code alone.
func sameSet[K comparable, V, W any](t *testing.T, registry map[K]V, code map[K]W) {
	t.Helper()
	for k := range registry {
		if _, ok := code[k]; !ok {
			t.Errorf("%v is registered and not in the code", k)
		}
	}
	for k := range code {
		if _, ok := registry[k]; !ok {
			t.Errorf("%v is in the code and not registered", k)
		}
	}
}

// The table holds every header field of the registry under its name and its
// compact form, and no other, with few exceptions.
func TestHeaderRegistry(t *testing.T) {
	registry := readRegistry(t, "header-fields.tsv")
	// Not registered, but sent.
	registry["Diversion"] = []string{"Diversion", "", "RFC 5806", ""}
	// Of MIME, which SIP takes over (RFC 3261 section 7.4.1).
	registry["Content-Transfer-Encoding"] = []string{"Content-Transfer-Encoding", "", "RFC 2045", ""}
	registry["Remote-Party-ID"] = []string{"Remote-Party-ID", "", "draft-ietf-sip-privacy", ""}
	// RFC 4474 gave it this compact form, and RFC 8224 took it from the
	// registry together with the header field. Nothing else may have it.
	registry["Identity-Info"][1] = "n"
	// Reserved so that nobody makes a header field of it.
	delete(registry, "Reason-Phrase")

	table := map[string]headerInfo{}
	for _, h := range headers[idVia:] {
		if _, twice := table[h.name]; twice {
			t.Errorf("%s is in the table twice", h.name)
		}
		table[h.name] = h
	}
	sameSet(t, registry, table)
	for name, row := range registry {
		compact := ""
		if c := table[name].compact; c != 0 {
			compact = string(c)
		}
		if compact != row[1] {
			t.Errorf("%s: compact form %q, want %q", name, compact, row[1])
		}
	}
}

func TestMethodRegistry(t *testing.T) {
	methods := readConstants(t, "method.go")
	sameSet(t, readRegistry(t, "methods.tsv"), methods)
	for name, value := range methods {
		if name != value {
			t.Errorf("%s is %q", name, value)
		}
	}
}

// Every registered response code has a constant and its reason phrase, and no
// other has.
func TestStatusRegistry(t *testing.T) {
	registry := readRegistry(t, "response-codes.tsv")
	codes := map[string]string{}
	for name, value := range readConstants(t, "status.go") {
		codes[value] = name
	}
	sameSet(t, registry, codes)
	for code := range Status(1000) {
		phrase := ""
		if row := registry[strconv.Itoa(int(code))]; row != nil {
			phrase = row[1]
		}
		if got := code.Text(); got != phrase {
			t.Errorf("Status(%d).Text() = %q, want %q", code, got, phrase)
		}
	}
}

// Every registered option tag has a constant of its name, and passes through
// the header fields that hold them.
func TestOptionRegistry(t *testing.T) {
	registry := readRegistry(t, "option-tags.tsv")
	tags := map[string]string{}
	for name, value := range readConstants(t, "option.go") {
		tags[value] = name
		if want := "Option" + strings.ReplaceAll(value, "-", ""); !strings.EqualFold(name, want) {
			t.Errorf("%q is named %s", value, name)
		}
	}
	sameSet(t, registry, tags)

	all := slices.Sorted(maps.Keys(registry))
	m := NewRequest(OPTIONS, URI{Scheme: "sip", Host: "example.com"}, Supported(all), Require(all))
	supported, err1 := Get[Supported](m)
	require, err2 := Get[Require](m)
	if !slices.Equal(supported, all) || !slices.Equal(require, all) || err1 != nil || err2 != nil {
		t.Errorf("the option tags came back as %q, %v and %q, %v", supported, err1, require, err2)
	}
}

// Every registered URI parameter is read back. A URI without it is another one
// for those of RFC 3261 that say where a request goes; all others count only
// where both URIs have them (RFC 3261 section 19.1.4).
func TestURIParameterRegistry(t *testing.T) {
	values := map[string]string{"transport": "tcp", "user": "phone", "ttl": "15", "method": "INVITE", "maddr": "192.0.2.1"}
	bare, err := ParseURI("sip:alice@example.com")
	if err != nil {
		t.Fatal(err)
	}
	registry := readRegistry(t, "uri-parameters.tsv")
	for name := range uriParameters {
		if _, ok := registry[name]; !ok {
			t.Errorf("%s is not registered", name)
		}
	}
	for name := range registry {
		if _, ok := uriParameters[name]; !ok {
			t.Errorf("%s is not in the table", name)
		}
		name = strings.Replace(name, "[n]", "1", 1) // param[n]: param1, param2, ...
		value, decides := values[name]
		if !decides {
			value = "v"
		}
		delete(values, name)
		u, err := ParseURI("sip:alice@example.com;" + name + "=" + value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, _ := u.Params.Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
		if got := u.Equal(bare); got == decides {
			t.Errorf("Equal of a URI with %s and one without = %v", name, got)
		}
		other := u
		other.Params = other.Params.With(name, value+"2")
		if !u.Equal(u) || u.Equal(other) {
			t.Errorf("%s and %s: equal to itself %v, to the other %v", u, other, u.Equal(u), u.Equal(other))
		}
	}
	if len(values) > 0 {
		t.Errorf("not registered: %v", values)
	}
}

// Each name of the table has a slot of its own in both hashes.
func TestHeaderTable(t *testing.T) {
	slots := map[uint16]string{}
	padding := "                "
	for id := idVia; int(id) < len(headers); id++ {
		h := headers[id]
		if other, taken := slots[headerHash(h.name)]; taken {
			t.Errorf("%s and %s share slot %d", h.name, other, headerHash(h.name))
		}
		slots[headerHash(h.name)] = h.name
		for _, name := range []string{h.name, strings.ToLower(h.name), strings.ToUpper(h.name)} {
			if got := lookupHeader(name); got != id {
				t.Errorf("lookupHeader(%q) = %d, want %d", name, got, id)
			}
		}
		if got, n := usualName(h.name+":"+padding, 0); len(h.name) < 16 && (got != id || n != len(h.name)) {
			t.Errorf("usualName(%q) = %d, %d, want %d", h.name, got, n, id)
		}
		if h.compact != 0 {
			for _, name := range []string{string(h.compact), strings.ToUpper(string(h.compact))} {
				if got := lookupHeader(name); got != id {
					t.Errorf("lookupHeader(%q) = %d, want %d", name, got, id)
				}
			}
		}
	}
}

// Full and compact names are one, also of header fields that have no type here.
func TestCompactNames(t *testing.T) {
	m := mustParse(t, "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"+
		"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nx: 1800\r\nCall-Info: <http://a>;purpose=icon, <http://b>\r\n\r\n").(*Request)
	if got, _ := m.Value("Session-Expires"); got != "1800" {
		t.Errorf("Session-Expires = %q, want 1800", got)
	}
	out := m.With(Field{"Session-Expires", "90"}, Pop("Call-Info"))
	if _, ok := out.Value("x"); !ok || strings.Contains(out.String(), "1800") {
		t.Errorf("a compact form was left behind:\n%s", out)
	}
	if got, _ := out.Value("Call-Info"); got != "<http://b>" {
		t.Errorf("Call-Info = %q after Pop, want <http://b>", got)
	}
}

// What is a list and what only has commas in it, by the grammar of the RFC that
// has the example.
func TestKinds(t *testing.T) {
	for _, test := range []struct {
		name, value string
		rest        string // after Pop; "" if the line is gone
	}{
		{"Date", "Sat, 13 Nov 2010 23:29:00 GMT", ""},                                            // RFC 3261 section 20.17
		{"Subject", "Tune in, they are talking of your work!", ""},                               // 20.36
		{"Authentication-Info", `nextnonce="47364c23", qop=auth`, ""},                            // 20.6
		{"WWW-Authenticate", `Digest realm="atlanta.com", nonce="f84f1cec"`, ""},                 // 20.44
		{"Warning", `307 isi.edu "Not, in fact, known", 370 b "Bandwidth"`, `370 b "Bandwidth"`}, // 20.43
		{"In-Reply-To", "70710@saturn.bell-tel.com, 17320@saturn.bell-tel.com", "17320@saturn.bell-tel.com"},
		{"Content-Language", "fr, en", "en"},
		{"Privacy", "header;user", ""},                                            // RFC 3323
		{"Reason", `SIP;cause=200;text="a, b", Q.850;cause=16`, "Q.850;cause=16"}, // RFC 3326
		{"Request-Disposition", "proxy, recurse", "recurse"},                      // RFC 3841
		{"Geolocation", "<cid:a,b@example.com>, <sips:c@example.com>", "<sips:c@example.com>"},
		{"Feature-Caps", `*;+g.a="<x,y>", *;+sip.pns`, "*;+sip.pns"},                                               // RFC 6809
		{"History-Info", `<sip:a@b?Reason=SIP%3Bcause%3D302>;index=1, <sip:c@d>;index=1.1`, "<sip:c@d>;index=1.1"}, // RFC 7044
		{"P-Access-Network-Info", "IEEE-802.11, 3GPP-GERAN;network-provided", "3GPP-GERAN;network-provided"},
		{"P-Charging-Vector", `icid-value="1,2";orig-ioi=a`, ""},         // RFC 7315
		{"Identity", `eyJ.0.sig;info=<https://a,b/c.cer>;alg=ES256`, ""}, // RFC 8224
		{"User-to-User", "56a390f3;encoding=hex, c0ffee", "c0ffee"},      // RFC 7433
		{"Remote-Party-ID", "Doe, John <sip:a@b>;party=calling", ""},
		{"Relayed-Charge", "a, b", ""}, // its grammar is not public
		{"X-Unknown", "a, b", ""},
	} {
		m := NewRequest(OPTIONS, URI{Scheme: "sip", Host: "example.com"}, Field{test.name, test.value})
		m = m.With(Pop(test.name))
		if got, _ := m.Value(test.name); got != test.rest || m.Err() != nil {
			t.Errorf("%s: %s: after Pop %q, %v, want %q", test.name, test.value, got, m.Err(), test.rest)
		}
	}
}

// kindsByName is what the grammars say, apart from the table.
var kindsByName = map[kind]string{
	single: "Additional-Identity AlertMsg-Error Answer-Mode Attestation-Info Authentication-Info CSeq Call-ID " +
		"Content-Disposition Content-ID Content-Length Content-Transfer-Encoding Content-Type Date Event Expires Flow-Timer " +
		"From Geolocation-Error Geolocation-Routing Identity-Info Info-Package Join MIME-Version Max-Breadth Max-Forwards " +
		"Min-Expires Min-SE Organization Origination-Id P-Answer-State P-Called-Party-ID P-Charge-Info P-Charging-Vector " +
		"P-DCS-Billing-Info P-DCS-LAES P-DCS-OSPS P-DCS-Redirect P-DCS-Trace-Party-ID P-Private-Network-Indication " +
		"P-Profile-Key P-Served-User P-User-Database Priority Priority-Share Priv-Answer-Mode RAck RSeq Refer-Events-At " +
		"Refer-Sub Refer-To Referred-By Replaces Reply-To Resource-Share Response-Source Retry-After SIP-ETag SIP-If-Match " +
		"Server Session-Expires Session-ID Subject Subscription-State Suppress-If-Match Target-Dialog Timestamp To " +
		"User-Agent",
	list: "Accept-Contact Alert-Info Call-Info Contact Diversion Error-Info Feature-Caps Geolocation History-Info " +
		"P-Access-Network-Info P-Asserted-Identity P-Asserted-Service P-Associated-URI P-Charging-Function-Addresses " +
		"P-Preferred-Identity P-Preferred-Service P-Refused-URI-List P-Visited-Network-ID Path Permission-Missing " +
		"Policy-Contact Policy-ID Reason Record-Route Recv-Info Reject-Contact Route Security-Client Security-Server " +
		"Security-Verify Service-Interact-Info Service-Route Trigger-Consent User-to-User Via Warning",
	ranges: "Accept Accept-Encoding Accept-Language",
	words:  "In-Reply-To",
	tokens: "Accept-Resource-Priority Allow Allow-Events Content-Encoding Content-Language P-Early-Media P-Media-Authorization " +
		"Privacy Proxy-Require Request-Disposition Require Resource-Priority Supported Unsupported",
	lines: "Cellular-Network-Info DC-Info Encryption Hide Identity Priority-Verstat Relayed-Charge Remote-Party-ID Response-Key " +
		"Restoration-Info",
	challenges: "Authorization Proxy-Authenticate Proxy-Authorization WWW-Authenticate",
}

// Each header field of the table is combined as its grammar has it: two values on
// one line come as two, and Pop leaves the second, or they are one, and Pop takes
// the line. Where there is one value, a second line is refused.
func TestKindOfEachHeader(t *testing.T) {
	want := map[string]kind{}
	for k, names := range kindsByName {
		for name := range strings.FieldsSeq(names) {
			want[name] = k
		}
	}
	for id := idVia; int(id) < len(headers); id++ {
		h := headers[id]
		k, ok := want[h.name]
		if !ok || h.kind != k {
			t.Errorf("%s is of kind %d, want %d, %v", h.name, h.kind, k, ok)
		}
		delete(want, h.name)
		lines, count, rest := [2]string{"a, b", "c"}, 2, "c"
		switch k {
		case single:
			count = 1 // the error, for the second line
		case list:
			lines[0], count, rest = "<a, x>, b", 3, "b"
		case ranges:
			lines[0], count, rest = ", a,, b", 3, "b"
		case words:
			lines[0], count, rest = "<a, b", 3, "b"
		case tokens:
			count, rest = 1, "b" // all of them are one value
		case challenges:
			lines, count, rest = [2]string{"A b=c, D e=f", "G h=i"}, 3, "D e=f"
		}
		text := tweak("", h.name+": "+lines[0], h.name+": "+lines[1])
		if i := slices.IndexFunc(plain, func(line string) bool { return strings.HasPrefix(line, h.name+":") }); i > 0 {
			text = tweak(h.name, plain[i], plain[i])
			if h.kind == single {
				if _, err := Parse(text); err == nil {
					t.Errorf("two lines of %s are accepted", h.name)
				}
				text, count, rest = tweak(""), 1, ""
			} else {
				text, rest = tweak(h.name, plain[i]+", SIP/2.0/UDP b", plain[i]), "SIP/2.0/UDP b"
			}
		} else if id < numHot && h.kind == single {
			text, count, rest = tweak("", h.name+": "+lines[0]), 1, ""
		}
		m := mustParse(t, text)
		if i := slices.IndexFunc(typedHeaders, func(t typedHeader) bool { return t.name() == h.name }); i >= 0 {
			if got := typedHeaders[i].count(m); got != count {
				t.Errorf("%s: %d values, want %d, in\n%s", h.name, got, count, text)
			}
		}
		m = with(m, Pop(h.name))
		if got, _ := m.Value(h.name); got != rest || m.Err() != nil {
			t.Errorf("%s: after Pop %q, %v, want %q", h.name, got, m.Err(), rest)
		}
	}
	for name := range want {
		t.Errorf("%s is not in the table", name)
	}
}
