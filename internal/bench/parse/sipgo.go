package main

import (
	"bytes"

	"github.com/emiago/sipgo/sip"
)

// sipgoTasks are those of github.com/emiago/sipgo. Its default parser decodes
// the start line, every Via, From, To, Call-ID, CSeq, Contact, Route,
// Record-Route, Refer-To, Referred-By, Max-Forwards, Content-Type and
// Content-Length; told to decode Content-Length alone it decodes the others when
// they are asked for.
func sipgoTasks(msg []byte) []task {
	parser := sip.NewParser()
	all := sip.DefaultHeadersParser()
	lazy := sip.NewParser(sip.WithHeadersParsers(map[string]sip.HeaderParser{
		"content-length": all["content-length"], "l": all["l"],
	}))
	next := sip.NewParser().NewSIPStream()
	tasks := []task{
		{parsing, "sipgo ParseSIP", func() int {
			_, err := parser.ParseSIP(msg)
			return done(err)
		}},
		{parsing, "sipgo ParseSIP, only Content-Length decoded", func() int {
			_, err := lazy.ParseSIP(msg)
			return done(err)
		}},
		{reading, "sipgo ParseSIP", func() int { return readSIPGo(parser.ParseSIP(msg)) }},
		{reading, "sipgo ParseSIP, only Content-Length decoded", func() int { return readSIPGo(lazy.ParseSIP(msg)) }},
		{stream, "sipgo ParserStream", func() int {
			if _, err := next.Write(msg); err != nil {
				return 0
			}
			_, _, err := next.ParseNext()
			return done(err)
		}},
	}
	m, err := parser.ParseSIP(msg)
	req, ok := m.(*sip.Request)
	if err != nil || !ok {
		return tasks
	}
	req.SetSource("192.0.2.10:5062")
	contact := &sip.ContactHeader{Address: sip.Uri{Scheme: "sip", User: "bob", Host: "198.51.100.20", Port: 5060}}
	lr := sip.HeaderParams{{K: "lr"}}
	var out bytes.Buffer
	return append(tasks,
		task{building, "sipgo NewResponseFromRequest", func() int {
			res := sip.NewResponseFromRequest(req, 200, "OK", []byte(answer))
			res.AppendHeader(contact)
			res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
			out.Reset()
			res.StringWrite(&out)
			return out.Len()
		}},
		// A clone, for others may hold the request.
		task{forward, "sipgo Clone, PrependHeader", func() int {
			fwd := req.Clone()
			fwd.MaxForwards().Dec()
			fwd.PrependHeader(&sip.RouteHeader{Address: sip.Uri{Scheme: "sip", Host: "198.51.100.1", UriParams: lr}})
			fwd.PrependHeader(&sip.RecordRouteHeader{Address: sip.Uri{Scheme: "sip", Host: "192.0.2.1", UriParams: lr}})
			fwd.PrependHeader(&sip.ViaHeader{ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: "UDP", Host: "192.0.2.1",
				Params: sip.HeaderParams{{K: "branch", V: "z9hG4bKabcdefg"}, {K: "rport"}}})
			out.Reset()
			fwd.StringWrite(&out)
			return out.Len()
		}})
}

// readSIPGo reads what readParley does.
func readSIPGo(m sip.Message, err error) int {
	if err != nil {
		return 0
	}
	via := m.Via()
	branch, _ := via.Params.Get("branch")
	from, _ := m.From().Params.Get("tag")
	to, _ := m.To().Params.Get("tag")
	n := len(branch) + len(via.Host) + len(from) + len(to) + len(*m.CallID()) + int(m.CSeq().SeqNo)
	var contact *sip.ContactHeader
	switch m := m.(type) {
	case *sip.Request:
		contact = m.Contact()
		n += len(m.Recipient.Host)
	case *sip.Response:
		contact = m.Contact()
	}
	if contact != nil {
		n += len(contact.Address.Host)
	}
	return n
}
