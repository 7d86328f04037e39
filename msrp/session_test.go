package msrp_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
)

// pair returns two sessions that are connected, by the system's own loopback.
func pair(t testing.TB, a, b *msrp.SessionConfig) (alice, bob *msrp.Session) {
	t.Helper()
	one, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	two, err := msrp.New(&msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Close(); two.Close() })
	alice, bob = msrp.NewSession(one, a), msrp.NewSession(two, b)
	connect(t, alice, bob)
	return alice, bob
}

func TestTextBothWays(t *testing.T) {
	alice, bob := pair(t, nil, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	go func() {
		for m, err := range bob.Messages(ctx) {
			if err != nil {
				return
			}
			text, _ := io.ReadAll(m)
			bob.SendText(ctx, strings.ToUpper(string(text)))
		}
	}()
	if err := alice.Send(ctx, &msrp.Message{Body: strings.NewReader("hello"), SuccessReport: true}); err != nil {
		t.Fatal(err)
	}
	for m, err := range alice.Messages(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(m)
		if err != nil || string(text) != "HELLO" {
			t.Fatalf("got %q, %v", text, err)
		}
		break
	}
}

func TestLargeMessage(t *testing.T) {
	for _, limit := range []int64{0, 2048, 8192} {
		alice, bob := pair(t, &msrp.SessionConfig{MaxChunk: limit}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		got := make(chan []byte, 1)
		go func() {
			for m, err := range bob.Messages(ctx) {
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(m)
				if err != nil {
					t.Error(err)
				}
				got <- b
				return
			}
		}()
		if err := alice.Send(ctx, &msrp.Message{Body: bytes.NewReader(data), SuccessReport: true}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(<-got, data) {
			t.Error("other data")
		}
	}
}

// sendSmall returns a func that sends a small text, which is read at the other end.
func sendSmall(t testing.TB) func() {
	x, y := pair(t, nil, nil)
	go func() { // ends with the session
		buf := make([]byte, 1000)
		for m, err := range y.Messages(context.Background()) {
			if err != nil {
				return
			}
			for err == nil {
				_, err = m.Read(buf)
			}
		}
	}()
	ctx := t.Context()
	body := strings.NewReader("")
	return func() {
		body.Reset("Hello, Bob.")
		if err := x.Send(ctx, &msrp.Message{Body: body}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestSendAllocs holds what a small message takes, at both ends together and with its response.
func TestSendAllocs(t *testing.T) {
	send := sendSmall(t)
	for range 100 {
		send()
	}
	const most = 32
	if n := testing.AllocsPerRun(1000, send); n > most {
		t.Errorf("%v allocations for a message, want %d at most", n, most)
	}
}

func BenchmarkSend(b *testing.B) {
	send := sendSmall(b)
	b.ReportAllocs()
	for b.Loop() {
		send()
	}
}

func BenchmarkSendLarge(b *testing.B) {
	x, y := pair(b, nil, nil)
	go func() { // ends with the session
		for m, err := range y.Messages(context.Background()) {
			if err != nil {
				return
			}
			io.Copy(io.Discard, m)
		}
	}()
	data := make([]byte, 16<<20)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := x.Send(b.Context(), &msrp.Message{Body: bytes.NewReader(data)}); err != nil {
			b.Fatal(err)
		}
	}
}
