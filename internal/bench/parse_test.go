package bench

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
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
				measure(b, func() error {
					_, err := way.read(msg)
					return err
				})
			})
		}
	}
}

// BenchmarkParse makes a message of a datagram's bytes, the owning copy
// included.
func BenchmarkParse(b *testing.B) {
	p := peer.NewParser()
	each(b, func(msg []byte) (int, error) {
		_, err := sip.ParseBytes(msg)
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
		m, err := sip.ParseBytes(msg)
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

// BenchmarkParseAndReadText does the same with a text that is in memory as a
// string, which Parse takes as it is and sipgo cannot: it copies what it keeps.
func BenchmarkParseAndReadText(b *testing.B) {
	p := peer.NewParser()
	for _, name := range messages {
		msg := read(b, name)
		text := string(msg)
		b.Run(name+"/parley", func(b *testing.B) {
			measure(b, func() error {
				m, err := sip.Parse(text)
				if err == nil {
					readParley(m)
				}
				return err
			})
		})
		b.Run(name+"/sipgo", func(b *testing.B) {
			measure(b, func() error {
				m, err := p.ParseSIP(msg)
				if err == nil {
					readSIPGo(m)
				}
				return err
			})
		})
	}
}

// BenchmarkStream takes messages off a stream that never ends.
func BenchmarkStream(b *testing.B) {
	for _, name := range messages {
		msg := read(b, name)
		b.Run(name+"/parley", func(b *testing.B) {
			r := sip.NewReader(&loop{msg: msg}, nil)
			measure(b, func() error {
				_, err := r.ReadMessage()
				return err
			})
		})
		b.Run(name+"/sipgo", func(b *testing.B) {
			s := peer.NewParser().NewSIPStream()
			measure(b, func() error {
				if _, err := s.Write(msg); err != nil {
					return err
				}
				_, _, err := s.ParseNext()
				return err
			})
		})
	}
}

// measure reports CPU time of the whole process beside the time that passed:
// it includes what the collector does on other cores, and leaves out what other
// programs of a busy machine do.
func measure(b *testing.B, f func() error) {
	b.ReportAllocs()
	runtime.GC()
	start := cpuTime()
	for b.Loop() {
		if err := f(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpuTime()-start)/float64(b.N), "cpu-ns/op")
}

func cpuTime() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
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
