package bench

import (
	"os"
	"path/filepath"
	"testing"

	peer "github.com/emiago/sipgo/sip"
	"github.com/goparley/parley/sip"
)

// messages are the files of the sip package that every benchmark runs on.
var messages = []string{"invite", "register", "ok", "notify", "large"}

func read(b *testing.B, name string) []byte {
	b.Helper()
	msg, err := os.ReadFile(filepath.Join("..", "..", "sip", "testdata", "messages", name+".sip"))
	if err != nil {
		b.Fatal(err)
	}
	return msg
}

// each runs one of Parley's ways and one of sipgo's on every message. A way
// takes the bytes of a datagram and returns a number that depends on what it
// read.
func each(b *testing.B, parley, sipgo func([]byte) (int, error)) {
	for _, name := range messages {
		msg := read(b, name)
		for _, way := range []struct {
			name string
			read func([]byte) (int, error)
		}{{"parley", parley}, {"sipgo", sipgo}} {
			b.Run(name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(msg)))
				for b.Loop() {
					if _, err := way.read(msg); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkParse makes a message of a datagram's bytes, the owning copy
// included.
func BenchmarkParse(b *testing.B) {
	p := peer.NewParser()
	each(b, func(msg []byte) (int, error) {
		_, err := sip.Parse(string(msg))
		return 0, err
	}, func(msg []byte) (int, error) {
		_, err := p.ParseSIP(msg)
		return 0, err
	})
}

// BenchmarkParseAndRead also reads what transactions and dialogs need: branch
// and sent-by of the topmost Via, the tags of From and To, Call-ID, CSeq, the
// host of Contact and that of the Request-URI.
func BenchmarkParseAndRead(b *testing.B) {
	p := peer.NewParser()
	each(b, func(msg []byte) (int, error) {
		m, err := sip.Parse(string(msg))
		if err != nil {
			return 0, err
		}
		return readParley(m), nil
	}, func(msg []byte) (int, error) {
		m, err := p.ParseSIP(msg)
		if err != nil {
			return 0, err
		}
		return readSIPGo(m), nil
	})
}

// BenchmarkStream takes messages off a stream that never ends.
func BenchmarkStream(b *testing.B) {
	for _, name := range messages {
		msg := read(b, name)
		b.Run(name+"/parley", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			r := sip.NewReader(&loop{msg: msg}, nil)
			for b.Loop() {
				if _, err := r.ReadMessage(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/sipgo", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(msg)))
			s := peer.NewParser().NewSIPStream()
			for b.Loop() {
				if _, err := s.Write(msg); err != nil {
					b.Fatal(err)
				}
				if _, _, err := s.ParseNext(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// loop gives the same message for ever, one a read.
type loop struct {
	msg  []byte
	rest []byte
}

func (l *loop) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		l.rest = l.msg
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

func readParley(m sip.Message) int {
	via, from, to := m.Via(), m.From(), m.To()
	n := len(via.Branch()) + len(via.Host) + len(from.Tag()) + len(to.Tag()) + len(m.CallID()) + int(m.CSeq().Seq)
	if contact, err := sip.Get[sip.Contact](m); err == nil {
		n += len(contact.URI.Host)
	}
	if r, ok := m.(*sip.Request); ok {
		n += len(r.URI().Host)
	}
	return n
}

func readSIPGo(m peer.Message) int {
	via := m.Via()
	branch, _ := via.Params.Get("branch")
	from, _ := m.From().Params.Get("tag")
	to, _ := m.To().Params.Get("tag")
	n := len(branch) + len(via.Host) + len(from) + len(to) + len(*m.CallID()) + int(m.CSeq().SeqNo)
	var contact *peer.ContactHeader
	switch m := m.(type) {
	case *peer.Request:
		contact = m.Contact()
		n += len(m.Recipient.Host)
	case *peer.Response:
		contact = m.Contact()
	}
	if contact != nil {
		n += len(contact.Address.Host)
	}
	return n
}
