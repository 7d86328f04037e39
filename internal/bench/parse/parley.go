package main

import (
	"bytes"
	"io"

	"github.com/goparley/parley/sip"
)

// parleyTasks are the ways of this library.
func parleyTasks(msg []byte) []task {
	text := string(msg)
	reader := sip.NewReader(&endless{msg: msg}, nil)
	tasks := []task{
		{parsing, "parley Parse", func() int {
			_, err := sip.Parse(text)
			return done(err)
		}},
		{parsing, "parley ParseBytes", func() int {
			_, err := sip.ParseBytes(msg)
			return done(err)
		}},
		{reading, "parley Parse", func() int { return readParley(sip.Parse(text)) }},
		{reading, "parley ParseBytes", func() int { return readParley(sip.ParseBytes(msg)) }},
		{stream, "parley Reader", func() int {
			_, err := reader.ReadMessage()
			return done(err)
		}},
	}
	m, err := sip.Parse(text)
	req, ok := m.(*sip.Request)
	if err != nil || !ok {
		return tasks
	}
	contact := sip.Contact{URI: sip.URI{Scheme: "sip", User: "bob", Host: "198.51.100.20", Port: 5060}}
	via := sip.Via{Transport: "UDP", Host: "192.0.2.1", Params: ";branch=z9hG4bKabcdefg;rport"}
	recordRoute := sip.RecordRoute{URI: sip.URI{Scheme: "sip", Host: "192.0.2.1", Params: ";lr"}}
	route := sip.Route{URI: sip.URI{Scheme: "sip", Host: "198.51.100.1", Params: ";lr"}}
	var out bytes.Buffer
	write := func(m sip.Message) int {
		if m.Err() != nil {
			return 0
		}
		out.Reset()
		out.WriteString(m.String())
		return out.Len()
	}
	return append(tasks,
		task{building, "parley Reply", func() int {
			return write(req.Reply(sip.StatusOK, contact, sip.Body{Type: "application/sdp", Content: answer}))
		}},
		task{forward, "parley With", func() int {
			return write(req.With(sip.MaxForwards(req.MaxForwards()-1), sip.Push(recordRoute), sip.Push(via), sip.Push(route)))
		}})
}

func done(err error) int {
	if err != nil {
		return 0
	}
	return 1
}

// readParley reads what transactions and dialogs need: branch and sent-by of
// the topmost Via, the tags, Call-ID, CSeq, the host of Contact and that of the
// Request-URI.
func readParley(m sip.Message, err error) int {
	if err != nil {
		return 0
	}
	via, from, to := m.Via(), m.From(), m.To()
	n := len(via.Branch()) + len(via.Host) + len(from.Tag()) + len(to.Tag()) + len(m.CallID()) + int(m.CSeq().Seq)
	if contact, err := sip.Get[sip.Contact](m); err == nil {
		n += len(contact.URI.Host)
	}
	if req, ok := m.(*sip.Request); ok {
		n += len(req.URI().Host)
	}
	return n
}

// answer is the body of the 200 that every peer builds.
const answer = "v=0\r\no=bob 1 1 IN IP4 198.51.100.20\r\ns=-\r\nc=IN IP4 198.51.100.20\r\nt=0 0\r\nm=audio 34506 RTP/AVP 0\r\n"

// endless gives the same message for ever, one a read.
type endless struct{ msg, rest []byte }

var _ io.Reader = (*endless)(nil)

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		e.rest = e.msg
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}
