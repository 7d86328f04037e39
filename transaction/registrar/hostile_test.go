package registrar

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip"
)

// What hostile clients send: each gets its verdict, and leaves nothing behind.
func TestHostileRegisters(t *testing.T) {
	long := strings.Repeat("x", 4096)
	many := func(n int) []string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprintf("<sip:a@192.0.2.1:%d>", 1+i))
		}
		return []string{strings.Join(list, ", ")}
	}
	for _, c := range []struct {
		name    string
		contact []string
		edits   []sip.Edit
		status  sip.Status
	}{
		{"10,000 Contacts", contact(strings.Repeat("sip:a,", 9999) + "sip:a"), nil, 400},
		{"200 Contacts", many(200), nil, 403},
		{"11 Contacts", many(11), nil, 403},
		{"Contact without host", contact("<sip:>"), nil, 400},
		{"Contact with user and no host", contact("<sip:alice@>"), nil, 400},
		{"half an IPv6 address", contact("<sip:[::>"), nil, 400},
		{"empty Contact", contact(""), nil, 400},
		{"no URI", contact("alice"), nil, 400},
		{"one of two is broken", contact(numbered(1), "<sip:>"), nil, 400},
		{"Expires that is no number", contact(numbered(1)), []sip.Edit{sip.Field{Name: "Expires", Value: "-1"}}, 400},
		{"Expires of 2^32", contact(numbered(1)), []sip.Edit{sip.Field{Name: "Expires", Value: "4294967296"}}, 400},
		{"* with a broken Expires", contact("*"), []sip.Edit{sip.Field{Name: "Expires", Value: "0x0"}}, 400},
		{"* with a parameter", contact("*;expires=0"), []sip.Edit{sip.Expires(0)}, 400},
		{"instance of 4 kB", contact(numbered(1) + `;+sip.instance="<urn:` + long + `>";reg-id=1`), []sip.Edit{knows("outbound", "gruu")}, 400},
		{"instance of 201 bytes", contact(numbered(1) + `;+sip.instance="<urn:x:` + long[:195] + `>"`), nil, 400},
		{"instance of 200 bytes", contact(numbered(1) + `;+sip.instance="<urn:x:` + long[:194] + `>"`), nil, 200},
		{"Contact of 4 kB", contact("<sip:" + long + "@192.0.2.1>"), nil, 513},
		{"Path of 4 kB", contact(numbered(1)), []sip.Edit{knows("path"), sip.Path{URI: sip.URI{Scheme: "sip", User: long, Host: "a.example", Params: ";lr"}}}, 513},
		{"Call-ID of 4 kB", contact(numbered(1)), []sip.Edit{sip.CallID(long)}, 513},
		{"broken Path", contact(numbered(1)), []sip.Edit{knows("path"), sip.Field{Name: "Path", Value: "<sip:>"}}, 400},
		{"300 hops", contact(numbered(1)), []sip.Edit{knows("path"), sip.Field{Name: "Path", Value: strings.TrimSuffix(strings.Repeat("<sip:a;lr>,", 300), ",")}}, 400},
		{"To with an escaped NUL", contact(numbered(1)), []sip.Edit{sip.To{URI: sip.URI{Scheme: "sip", User: "alice%00", Host: "example.com"}}}, 404},
		{"To with escaped line ends", contact(numbered(1)), []sip.Edit{sip.To{URI: sip.URI{Scheme: "sip", User: "a%0d%0aVia:", Host: "example.com"}}}, 404},
		{"To of 4 kB", contact(numbered(1)), []sip.Edit{sip.To{URI: sip.URI{Scheme: "sip", User: long, Host: "example.com"}}}, 404},
		{"q of more than 1", contact(numbered(1) + ";q=1.0001"), nil, 200},
		{"the last CSeq there is", contact(numbered(1)), []sip.Edit{sip.CSeq{Seq: 1<<31 - 1, Method: sip.REGISTER}}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			story(t, nil, func(t *testing.T, s *scene) {
				r := raw(t, s.phone, c.contact, c.edits...)
				if resp := s.phone.ask(r); resp.Status() != c.status {
					t.Errorf("got %v, want %v", resp.Status(), c.status)
				}
				if m := s.location.store.(*Memory); c.status != 200 && len(m.values) != 0 {
					t.Errorf("%d values are kept", len(m.values))
				}
			})
		})
	}
}

// No q is more than 1: one that says so is as good as the best.
func TestMoreThanBest(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.register(200, contact(numbered(1)+";q=0.9", numbered(2)+";q=1.0001", numbered(3)+";q=1"))
		targets, err := s.location.Lookup(t.Context(), uri(t, aliceAOR))
		if err != nil || len(targets) != 3 || targets[0].Q != 1 || targets[1].Q != 1 || targets[2].Q != 0.9 {
			t.Errorf("targets %v, %v, want q of 1, 1 and 0.9", targets, err)
		}
	})
}

// raw makes a REGISTER that With would refuse to make: its Contacts, and what is
// a Field among the edits, are put in as text.
func raw(t testing.TB, p *phone, contacts []string, edits ...sip.Edit) *sip.Request {
	t.Helper()
	var typed []sip.Edit
	fields := ""
	for _, c := range contacts {
		fields += "Contact: " + c + "\r\n"
	}
	for _, e := range edits {
		if f, ok := e.(sip.Field); ok {
			fields += f.Name + ": " + f.Value + "\r\n"
		} else {
			typed = append(typed, e)
		}
	}
	head, body, _ := strings.Cut(p.request(nil, typed...).String(), "\r\n\r\n")
	text := head + "\r\n" + "Via: SIP/2.0/TCP 192.0.2.1;branch=z9hG4bKx\r\n" + fields + "\r\n" + body
	m, err := sip.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	r := m.(*sip.Request).With(sip.Pop("Via"))
	if r.Err() != nil {
		t.Fatal(r.Err())
	}
	p.byTCP()
	return r.WithURI(uri(t, p.uri))
}

// CSeq has no way around: after the highest one comes no lower one of the same
// Call-ID.
func TestCSeqDoesNotWrap(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		s.phone.seq = 1<<31 - 2
		s.phone.register(200, contact(numbered(1)))
		s.phone.seq = 0
		s.phone.register(500, contact(numbered(1)+";expires=0"))
		s.expectTargets(aliceAOR, "sip:alice@192.0.2.1:6001")
	})
}

// A client that registers for many users, or many Contacts one after the other,
// finds an end to the room, and so does whoever else comes then. With time there
// is room again.
func TestFloodOfRegistrations(t *testing.T) {
	story(t, &Config{Store: NewMemory(&MemoryConfig{MaxKeys: 100})}, func(t *testing.T, s *scene) {
		for i := range 120 {
			s.phone.to = fmt.Sprintf("sip:user%d@example.com", i)
			want := sip.Status(200)
			if i >= 100 {
				want = 500
			}
			s.phone.register(want, contact(numbered(i)))
		}
		s.phone.to = "sip:user7@example.com" // who is there may stay
		for i := range 200 {
			s.phone.register(200, contact(numbered(i)))
		}
		if b, _ := s.location.Bindings(t.Context(), uri(t, s.phone.to)); len(b) != 10 {
			t.Errorf("%d bindings, want 10", len(b))
		}
		time.Sleep(time.Hour)
		s.phone.to = aliceAOR
		s.phone.register(200, contact(numbered(1)))
	})
}

// All bindings of a user have to go into one 200, with their GRUUs and the Path.
// The last one that does not is refused, and nothing of it is kept.
func TestOneUserTakesTooMuch(t *testing.T) {
	story(t, &Config{MaxBindings: 100}, func(t *testing.T, s *scene) {
		path := sip.Path{URI: uri(t, "sip:"+strings.Repeat("p", 1000)+".example;lr")}
		add := func(i int) *sip.Response {
			c := fmt.Sprintf(`<sip:alice@192.0.2.1:%d;x=%s>;+sip.instance="<urn:x:%d>"`, 6000+i, strings.Repeat("x", 500), i)
			return s.phone.byTCP().ask(s.phone.request(contact(c), behind(), path, knows("path", "gruu")))
		}
		i := 0
		for ; i < 100; i++ {
			if resp := add(i); resp.Status() == sip.StatusMessageTooLarge {
				break
			} else if resp.Status() != sip.StatusOK {
				t.Fatalf("Contact %d got %v", i, resp.Status())
			}
		}
		b, _ := s.location.Bindings(t.Context(), uri(t, aliceAOR))
		if len(b) != i || i < 10 || i > 20 {
			t.Errorf("%d of %d bindings are kept, want all of 10 to 20", len(b), i)
		}
	})
}

// A REGISTER whose 200 cannot be sent changes nothing, and no client makes the list
// too long for the others.
func TestAnswerDoesNotFit(t *testing.T) {
	story(t, &Config{MaxBindings: 100}, func(t *testing.T, s *scene) {
		padded := sip.From{URI: uri(t, aliceAOR), Params: sip.Params(";tag=1;x=" + strings.Repeat("x", 62000))}
		s.phone.byTCP().register(513, contact(numbered(1)), padded)
		s.expectTargets(aliceAOR)

		kept := 0
		for i := range 100 { // escaped, the instances take three times as much
			c := fmt.Sprintf(`<sip:alice@192.0.2.1:%d>;+sip.instance="<urn:x:%s%02d>"`, 6000+i, strings.Repeat("^", 190), i)
			resp := s.phone.ask(s.phone.request(contact(c), knows("gruu")))
			if resp.Status() == sip.StatusOK {
				kept++
			} else if resp.Status() != sip.StatusMessageTooLarge {
				t.Fatalf("Contact %d got %v", i, resp.Status())
			}
			b, err := s.location.Bindings(t.Context(), uri(t, aliceAOR))
			if err != nil || len(b) != kept {
				t.Fatalf("%d bindings, %v, of %d that were confirmed", len(b), err, kept)
			}
		}
		if ok := s.phone.register(200, nil, knows("gruu")); kept < 30 || len(ok.String()) > 49<<10 {
			t.Errorf("%d bindings make a 200 of %d bytes", kept, len(ok.String()))
		}
	})
}

// What is kept of a REGISTER keeps no message alive.
func TestKeepsNoMessage(t *testing.T) {
	story(t, nil, func(t *testing.T, s *scene) {
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		const users, padding = 500, 20000
		before := heap()
		for i := range users {
			s.phone.byTCP().to = fmt.Sprintf("sip:user%d@example.com", i)
			s.phone.register(200, contact(deviceOne), sip.Subject(strings.Repeat("x", padding)))
		}
		time.Sleep(time.Minute) // transactions end
		if grown := int64(heap() - before); grown > users*padding/4 {
			t.Errorf("%d bytes are kept of %d users", grown, users)
		}
		if len(s.location.store.(*Memory).values) != users {
			t.Error("not all are kept")
		}
	})
}
