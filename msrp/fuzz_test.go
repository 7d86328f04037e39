package msrp_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// fuzzed is a network without a network: what listens gets connections from the fuzz test.
type fuzzed struct{ conns chan net.Conn }

func (f fuzzed) Listen(context.Context, string, string) (net.Listener, error) {
	return fuzzedListener{f.conns, make(chan struct{})}, nil
}

func (f fuzzed) DialContext(context.Context, string, string) (net.Conn, error) {
	return nil, net.ErrClosed
}

type fuzzedListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l fuzzedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l fuzzedListener) Close() error { close(l.done); return nil }

func (l fuzzedListener) Addr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.1:2855"))
}

// FuzzSession writes what it likes to a session: TO and FROM stand for its path and that of its peer. how says whether
// the peer is known before or only after, and which messages are read at once, then, or never. There
// is never a panic, no more memory than the bounds say, and another session on the same endpoint goes on.
func FuzzSession(f *testing.F) {
	const send = "MSRP abcd SEND\r\nTo-Path: TO\r\nFrom-Path: FROM\r\nMessage-ID: m\r\n"
	for _, s := range []string{
		send + "-------abcd$\r\n",
		send + "Byte-Range: 1-5/5\r\nSuccess-Report: yes\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------abcd$\r\n",
		send + "Byte-Range: 6-*/*\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------abcd+\r\n" + send + "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nhello!!\r\n-------abcd#\r\n",
		send + "Byte-Range: 3-*/*\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------abcd$\r\n" + send + "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nhello!!!!!!!!\r\n-------abcd+\r\n",
		strings.Replace(send, "SEND", "REPORT", 1) + "Byte-Range: 1-5/5\r\nStatus: 000 200 OK\r\n-------abcd$\r\n",
		strings.Replace(send, "SEND", "NICKNAME", 1) + "Use-Nickname: \"x\"\r\n-------abcd$\r\n",
		"MSRP abcd 200 OK\r\nTo-Path: TO\r\nFrom-Path: FROM\r\n-------abcd$\r\n",
		"MSRP abcd 413 No\r\nTo-Path: TO\r\nFrom-Path: FROM\r\n-------abcd$\r\nMSRP ",
		send + "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------abcd+\r\n" + send + "Byte-Range: 3-*/*\r\nContent-Type: text/plain\r\n\r\nLLO!!\r\n-------abcd+\r\n" + send + "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nHE\r\n-------abcd+\r\n" + send + "Byte-Range: 8-9/9\r\nContent-Type: text/plain\r\n\r\n??\r\n-------abcd$\r\n",
		send + "Byte-Range: 4-*/*\r\nContent-Type: text/plain\r\n\r\nlo\r\n-------abcd$\r\n" + send + "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nhello, and more\r\n-------abcd+\r\n",
		send + "Byte-Range: 1-*/*\r\nContent-Type: text/plain\r\n\r\nhello, and more\r\n-------abcd+\r\n" + send + "Byte-Range: 4-*/*\r\nContent-Type: text/plain\r\n\r\nlo\r\n-------abcd$\r\n",
		"GET / HTTP/1.1\r\n\r\n",
	} {
		for how := range byte(12) {
			f.Add(how, []byte(s))
		}
	}
	seeds, err := filepath.Glob("testdata/*.msrp")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no testdata", err)
	}
	for _, name := range seeds {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(byte(0), b)
	}
	f.Fuzz(func(t *testing.T, how byte, data []byte) {
		synctest.Test(t, func(t *testing.T) {
			network := fuzzed{make(chan net.Conn)}
			e, err := msrp.New(&msrp.Config{Network: network, Listen: []string{"tcp:192.0.2.1:2855"}, Logger: quiet})
			if err != nil {
				t.Fatal(err)
			}
			know := func(x *msrp.Session, from string) {
				peer, err := frame.ParsePath(from)
				if err != nil {
					t.Fatal(err)
				}
				if err := x.Connect(t.Context(), peer, false); err != nil {
					t.Error(err)
				}
			}
			dial := func(x *msrp.Session) (conn net.Conn, to string) {
				path, err := x.Path(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				conn, far := net.Pipe()
				network.conns <- far
				return conn, path.String()
			}
			x := msrp.NewSession(e, &msrp.SessionConfig{AcceptTypes: []string{"*"}, MaxSize: 1 << 20})
			y := msrp.NewSession(e, nil)
			n, late := int(how), make(chan struct{})
			go func() { // ends with the session
				if how/6%2 == 1 { // nobody asks for messages
					<-late
				}
				for m, err := range x.Messages(context.Background()) {
					if err != nil {
						return
					}
					which := n % 3
					n++
					if which == 2 {
						continue
					}
					go func(now bool) { // ends with the message
						if !now {
							<-late
						}
						if b, err := io.ReadAll(m); err == nil && len(b) > 1<<20 {
							t.Errorf("a message of %d bytes", len(b))
						}
					}(which == 0)
				}
			}()
			early := how/3%2 == 0
			if early {
				know(x, rawURI)
			}
			check := func() {
				synctest.Wait()
				if err := x.CheckHeld(); err != nil {
					t.Error(err)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			for range 2 { // for reports and responses
				go x.Send(ctx, &msrp.Message{ID: "m", Body: strings.NewReader("hello"), SuccessReport: true, OnReport: func(msrp.Report) {}})
			}
			conn, to := dial(x)
			go io.Copy(io.Discard, conn)
			text := strings.NewReplacer("TO", to, "FROM", rawURI).Replace(string(data))
			conn.SetWriteDeadline(time.Now().Add(time.Minute))
			io.WriteString(conn, text) // it may be cut off
			check()
			if !early {
				know(x, rawURI)
				check()
			}
			close(late)
			check()

			know(y, "msrp://192.0.2.9:2855/other;tcp")
			other, to := dial(y)
			go io.WriteString(other, "MSRP other SEND\r\nTo-Path: "+to+"\r\nFrom-Path: msrp://192.0.2.9:2855/other;tcp\r\nMessage-ID: o\r\nContent-Type: text/plain\r\n\r\nhello\r\n-------other$\r\n")
			h, err := frame.NewReader(other).Next()
			if err != nil || h.Status != frame.StatusOK {
				t.Errorf("the other session answers %v, %v", h, err)
			}
			cancel()
			conn.Close()
			other.Close()
			e.Close()
		})
	})
}

// FuzzDescription has a session answer, and offer and be answered with, whatever a peer describes. There is never
// a panic, and what we answer can be written.
func FuzzDescription(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.sdp")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no testdata", err)
	}
	for _, name := range seeds {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "o=- ID VERSION", "o=- 1 1")
		f.Add(strings.ReplaceAll(text, "SHA-256 FINGERPRINT", "SHA-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB"))
	}
	f.Add("v=0\no=a 1 1 IN IP4 192.0.2.9\ns=-\nc=IN IP4 192.0.2.9\nt=0 0\na=fingerprint:MD5 00\nm=message 0 TCP/MSRP *\na=path:\na=setup:holdconn\nm=message 9 TCP/MSRP *\na=path:msrp://a:9/;tcp msrp://[::1]:9/x;ws\na=accept-types:*\na=max-size:-1\n")
	nobody := fuzzed{make(chan net.Conn)}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sdp.Parse(text)
		if err != nil {
			return
		}
		// No name is looked up: nothing but a fault of ours would have us do that.
		for _, m := range s.Media {
			for _, secure := range []bool{false, true} {
				e, err := msrp.New(&msrp.Config{Network: nobody, Host: alice, Logger: quiet})
				if err != nil {
					t.Fatal(err)
				}
				e.SetResolver(&net.Resolver{PreferGo: true, Dial: nobody.DialContext})
				ctx := t.Context()
				x := msrp.NewSession(e, &msrp.SessionConfig{AcceptTypes: []string{"*"}, TLS: secure, CEMA: true})
				answer, err := x.Answer(ctx, m)
				if err != nil {
					t.Fatalf("Answer() = %v", err)
				}
				if answer != nil {
					engine := sdp.NewEngine(nil)
					if _, err := engine.Offer([]*sdp.Media{answer}); err != nil {
						t.Errorf("the answer %v cannot be written: %v", answer, err)
					}
					x.Update(ctx, answer, m)
				}
				offer, err := x.Offer(ctx)
				if err != nil {
					t.Fatalf("Offer() = %v", err)
				}
				x.Update(ctx, offer, m)
				x.Update(ctx, offer, m)
				e.Close()
			}
		}
	})
}
