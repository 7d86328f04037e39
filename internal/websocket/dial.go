package websocket

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
)

// maxAnswer is the longest answer to a handshake, in bytes.
const maxAnswer = 16 << 10

// Dial does the handshake of a client on nc, an open connection over TCP or
// TLS. url is what it is for, "ws://host/path" or "wss://host/path", which goes
// into the request. An answer other than 101 is a *StatusError; redirects are
// not followed. An answer without the subprotocol is an error (RFC 7118 section
// 4.1). ctx bounds the handshake and not the Conn. nc is closed if it fails.
func Dial(ctx context.Context, nc net.Conn, url string, cfg *Config) (*Conn, error) {
	c, err := dial(ctx, nc, url, cfg)
	if err != nil {
		nc.Close()
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("websocket: handshake for %s: %w", url, err)
	}
	return c, nil
}

func dial(ctx context.Context, nc net.Conn, url string, cfg *Config) (*Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	header := cfg.Header.Clone()
	if header == nil {
		header = make(http.Header)
	}
	if _, set := header["User-Agent"]; !set {
		header["User-Agent"] = nil // none
	}
	c := &Conn{link: newLink(nc, cfg)}
	stop := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
	ws, answer, err := websocket.Dial(ctx, url, &websocket.DialOptions{
		HTTPClient: &http.Client{
			Transport:     handshake{c.link},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		HTTPHeader:     header,
		Subprotocols:   []string{cfg.Subprotocol},
		OnPingReceived: func(context.Context, []byte) bool { return c.link.control() },
		OnPongReceived: func(context.Context, []byte) { c.link.control() },
	})
	switch ended := !stop(); {
	case err != nil && answer != nil && answer.StatusCode != http.StatusSwitchingProtocols:
		return nil, &StatusError{answer.StatusCode, answer.Header}
	case err != nil:
		return nil, err
	case ended:
		ws.CloseNow()
		return nil, ctx.Err()
	case ws.Subprotocol() == "":
		ws.CloseNow()
		return nil, fmt.Errorf("%w: no subprotocol %q in the answer", ErrProtocol, cfg.Subprotocol)
	}
	nc.SetDeadline(time.Time{})
	c.start(ws, cfg)
	return c, nil
}

// handshake sends one request over a link and takes the answer, with which the
// link goes to whoever asked.
type handshake struct{ link *link }

func (h handshake) RoundTrip(req *http.Request) (*http.Response, error) {
	nc := h.link.nc
	if err := req.Write(nc); err != nil {
		return nil, err
	}
	bounded := &io.LimitedReader{R: nc, N: maxAnswer}
	r := bufio.NewReader(bounded)
	for {
		resp, err := http.ReadResponse(r, req)
		if err != nil {
			if bounded.N == 0 {
				err = errors.New("answer too long")
			}
			return nil, err
		}
		switch code := resp.StatusCode; {
		case code == http.StatusSwitchingProtocols:
			// A server may not wait with its first message.
			early, err := r.Peek(r.Buffered())
			if err != nil {
				return nil, err
			}
			h.link.early = bytes.Clone(early)
			h.link.heard = time.Now()
			resp.Body = h.link
			return resp, nil
		case code < 200:
			continue // such as 103: the answer is still to come
		}
		resp.Body = http.NoBody // the status says enough
		return resp, nil
	}
}
