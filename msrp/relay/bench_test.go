package relay_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/msrp/relay"
)

const benchBytes = 64 << 20

// BenchmarkThroughput is one message through a relay, over loopback, with chunks of 2 KB and of 64 KB,
// beside a plain connection and a plain forwarder between two of them.
func BenchmarkThroughput(b *testing.B) {
	b.Run("plain", func(b *testing.B) {
		for range b.N {
			to, from := pair(b)
			pump(b, from, to)
		}
	})
	b.Run("forwarder", func(b *testing.B) {
		for range b.N {
			middle, from := pair(b)
			to, out := pair(b)
			go func() { // ends with the connection
				io.Copy(onlyWriter{out}, middle)
				out.Close()
			}()
			pump(b, from, to)
		}
	})
	for _, chunk := range []int{2048, 64 << 10} {
		b.Run(fmt.Sprintf("relay/%d", chunk), func(b *testing.B) {
			r, err := relay.New(&relay.Config{Listen: []string{"tcp:127.0.0.1:0"}, PlainAUTH: true, Domain: "localhost", Password: relay.Passwords(users)})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			alice, from := join(b, r, "alice")
			bob, to := join(b, r, "bob")
			wire := message(from+" "+to+" "+bob.ours, alice.ours, chunk)
			b.SetBytes(benchBytes)
			b.ReportAllocs()
			for b.Loop() {
				through(b, alice.nc, bob.nc, wire)
			}
		})
	}
}

// onlyWriter keeps io.Copy from leaving the work to the kernel.
type onlyWriter struct{ io.Writer }

func pair(b *testing.B) (accepted, dialed net.Conn) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if dialed, err = net.Dial("tcp", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if accepted, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	return accepted, dialed
}

func pump(b *testing.B, from, to net.Conn) {
	b.SetBytes(benchBytes)
	go func() { // ends when all is written
		buf := make([]byte, 64<<10)
		for range benchBytes / len(buf) {
			from.Write(buf)
		}
		from.Close()
	}()
	n, _ := io.CopyBuffer(onlyWriter{io.Discard}, onlyReader{to}, make([]byte, 64<<10))
	if n != benchBytes {
		b.Fatalf("%d bytes came", n)
	}
	to.Close()
}

type onlyReader struct{ io.Reader }

func join(b *testing.B, r *relay.Relay, name string) (p *raw, uri string) {
	nc, err := net.Dial("tcp", r.Addr("tcp").String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close() })
	p = &raw{t: b, nc: nc, in: frame.NewReader(nc), name: name, ours: "msrp://" + name + ":9/" + name + ";tcp"}
	uri = p.auth(name, "msrp://localhost;tcp")
	nc.SetDeadline(time.Time{})
	return p, uri
}

// message returns a message of benchBytes in chunks, to which nobody answers anything.
func message(to, from string, chunk int) []byte {
	body := bytes.Repeat([]byte("x"), chunk)
	var wire []byte
	for at := 0; at < benchBytes; at += chunk {
		flag := '+'
		if at+chunk == benchBytes {
			flag = '$'
		}
		wire = fmt.Appendf(wire, "MSRP %08d SEND\r\nTo-Path: %s\r\nFrom-Path: %s\r\nMessage-ID: 1\r\nFailure-Report: no\r\n"+
			"Byte-Range: %d-*/%d\r\nContent-Type: a/b\r\n\r\n", at/chunk, to, from, at+1, benchBytes)
		wire = append(wire, body...)
		wire = fmt.Appendf(wire, "\r\n-------%08d%c\r\n", at/chunk, flag)
	}
	return wire
}

// through sends a message from one raw end to another.
func through(b *testing.B, from, to net.Conn, wire []byte) {
	go func() { // ends when all is written, or the connection lost
		for piece := range slices.Chunk(wire, 64<<10) {
			if _, err := from.Write(piece); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for n, last := 0, ""; n < benchBytes || !strings.HasSuffix(last, "$\r\n"); {
		k, err := to.Read(buf)
		if err != nil {
			b.Fatal(err)
		}
		n, last = n+k, string(buf[max(0, k-3):k])
	}
}
