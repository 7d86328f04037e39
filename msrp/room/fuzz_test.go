package room_test

import (
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/simple/cpim"
)

// Whatever somebody writes, as MSRP, in an envelope or as a nickname: nothing panics, and the
// others go on.
func FuzzParticipant(f *testing.F) {
	f.Add("", envelope(alice, "hello", uri), `"Alice"`)
	f.Add("MSRP a786 SEND\r\nTo-Path: msrp://192.0.2.1:2855/x;tcp\r\n", envelope(alice, "psst", bob), `Alice`)
	f.Add("MSRP a786 NICKNAME\r\n\r\n-------a786$\r\n", envelope(bob, "hello", uri, bob), `""`)
	f.Add("-------", "From: <sip:>\r\nTo: <>\r\n\r\n\r\n", "\"\\\"\u00fc\u200d\"")
	f.Add("", "NS: <urn:x>\r\nFrom: <tel:1;ext=2;phone-context=%41.b.>\r\nTo: <urn:y>\r\n\r\nContent-Type: \r\n\r\n", "\"\xff\xfe\"")
	f.Fuzz(func(t *testing.T, wire, env, name string) {
		inHouse(t, nil, func(t *testing.T, h *house) {
			a, b := h.join(alice, wish{}), h.join(bob, wish{})
			p := h.raw(h.join(carol, wish{deaf: true}))
			go io.Copy(io.Discard, p.conn) // ends with the connection
			name = strings.NewReplacer("\r", "", "\n", "").Replace(name)
			env = strings.ReplaceAll(env, alice, carol)
			p.write("MSRP f001 SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: f1\r\nContent-Type: message/cpim\r\n\r\n%s\r\n-------f001$\r\n", p.to, p.from, env)
			p.write("MSRP f002 NICKNAME\r\nTo-Path: %s\r\nFrom-Path: %s\r\nUse-Nickname: %s\r\n-------f002$\r\n", p.to, p.from, name)
			synctest.Wait()
			io.WriteString(p.conn, wire) // the room may have hung up
			synctest.Wait()
			h.r.Roster().Append(nil)
			a.heard()
			b.heard()
			body := envelope(alice, "still here", uri)
			if err := a.Send(t.Context(), &msrp.Message{ContentType: cpim.ContentType, Body: strings.NewReader(body)}); err != nil {
				t.Fatal(err)
			}
			b.hears("alice@example.com> still here")
		})
	})
}
