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

// pair returns two sessions that are connected.
func pair(t testing.TB, a, b *msrp.SessionConfig) (alice, bob *msrp.Session) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
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
	pa, err := alice.Path(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pb, err := bob.Path(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := bob.Connect(ctx, pa, false); err != nil {
		t.Fatal(err)
	}
	if err := alice.Connect(ctx, pb, true); err != nil {
		t.Fatal(err)
	}
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
