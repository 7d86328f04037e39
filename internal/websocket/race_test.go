package websocket_test

import (
	"context"
	"testing"
	"time"
)

// A peer pings while we send: the pong is written by who reads. For the race
// detector.
func TestPingedWhileWriting(t *testing.T) {
	server, client := both(t, nil)
	reads(server)
	reads(client)
	pinged := make(chan error, 1)
	go func() { // ends with its pings
		var err error
		for range 50 {
			if err = server.Ping(context.Background()); err != nil {
				break
			}
		}
		pinged <- err
	}()
	for range 500 {
		if err := client.Write(options, time.Now().Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-pinged; err != nil {
		t.Error(err)
	}
}
