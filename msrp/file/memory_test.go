package file_test

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goparley/parley/msrp"
	"github.com/goparley/parley/msrp/file"
	"github.com/goparley/parley/ua"
)

// transfer sends a file from one agent to another by the loopback interface.
func transfer(t testing.TB, path string, progress func(n, size int64)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cfg := &msrp.Config{Listen: []string{"tcp:127.0.0.1:0"}}
	ours, err := msrp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := msrp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	inbox := root(t)
	got := make(chan error, 1)
	quiet := slog.New(slog.DiscardHandler)
	bob, err := ua.New("sip:bob@127.0.0.1", &ua.Config{Listen: []string{"tcp:127.0.0.1:0"}, Logger: quiet, OnInvite: func(ctx context.Context, inv *ua.Invitation) {
		in := file.Receive(theirs, inbox, &file.ReceiveOptions{Progress: progress})
		if _, err := inv.Answer(ctx, in); err != nil {
			got <- err
			return
		}
		_, err := in.Wait(context.WithoutCancel(ctx))
		got <- err
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer bob.Close()
	alice, err := ua.New("sip:alice@127.0.0.1", &ua.Config{Listen: []string{"tcp:127.0.0.1:0"}, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer alice.Close()
	push, err := file.Push(ours, path, &file.SendOptions{Progress: progress})
	if err != nil {
		t.Fatal(err)
	}
	call, err := alice.Invite(ctx, "sip:bob@"+bob.Addr("tcp").String()+";transport=tcp", &ua.InviteOptions{Streams: []ua.Stream{push}})
	if err != nil {
		t.Fatal(err)
	}
	if err := push.Wait(ctx); err != nil {
		t.Error(err)
	}
	if err := <-got; err != nil {
		t.Error(err)
	}
	if err := call.Hangup(ctx); err != nil {
		t.Error(err)
	}
}

// A file of 64 MiB takes no more memory than a small one: both sides together have less than 8 MiB.
func TestLargeFileInLittleMemory(t *testing.T) {
	path := written(t, "large.bin", content(1, 64<<20))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var most atomic.Uint64
	transfer(t, path, func(n, _ int64) {
		if n%(4<<20) < 64<<10 {
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			most.Store(max(most.Load(), now.HeapAlloc))
		}
	})
	if most.Load() == 0 {
		t.Fatal("nothing was measured")
	}
	if got := int64(most.Load()) - int64(before.HeapAlloc); got > 8<<20 {
		t.Errorf("the heap has grown by %d KiB, want at most 8 MiB", got>>10)
	} else {
		t.Logf("the heap has grown by %d KiB", got>>10)
	}
}

func BenchmarkTransfer(b *testing.B) {
	path := written(b, "large.bin", content(1, 64<<20))
	b.SetBytes(64 << 20)
	for b.Loop() {
		transfer(b, path, nil)
	}
}
