// Package websocket has connections on which each WebSocket message is one
// unit, for the subprotocols of SIP (RFC 7118) and MSRP (RFC 7977).
//
// It stands on github.com/coder/websocket, which knows frames and the
// handshake, and adds what a server with thousands of idle peers and a hostile
// network needs: a connection that holds no buffers while nothing comes, one
// write for each message, a time by which a message must have arrived, an end
// to a flood of pings, and a Close that does not wait for the peer.
//
// A program reads from one goroutine for as long as the connection lives, for
// pings and close frames are answered only while it reads, and writes from any:
//
//	c, err := websocket.Dial(ctx, nc, "ws://sip.example.com/", &websocket.Config{Subprotocol: "sip"})
//	if err != nil {
//		return err
//	}
//	defer c.CloseNow()
//	if err := c.Write(register, time.Now().Add(10*time.Second)); err != nil {
//		return err
//	}
//	for {
//		text, err := c.Read()
//		if err != nil {
//			return err
//		}
//		...
//	}
//
// It follows RFC 6455, sections 4 and 5 of RFC 7118 and sections 4 and 5 of
// RFC 7977. It compresses nothing (RFC 7692), since compression takes memory
// for each connection and gives an attacker more; it does not look whether what
// is in a text message is UTF-8, since both protocols take it as bytes; it does
// not notice a server that masks its frames, whose messages come out garbled;
// and it opens no sockets.
package websocket
