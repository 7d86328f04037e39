package msrp

import (
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/internal/websocket"
	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// recorded returns what Kamailio 5.6.3 has sent, with other texts in the places of some.
func recorded(t testing.TB, name string, oldnew ...string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/kamailio/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.NewReplacer(oldnew...).Replace(string(text))
}

// replay sends what Kamailio has sent in answer to a request: the transaction is that of the request.
func (c *client) replay(req request, name string) {
	c.relay.t.Helper()
	if err := c.write(recorded(c.relay.t, name, "auth1", req.ID, "auth2", req.ID, "send1", req.ID)); err != nil {
		c.relay.t.Fatal(err)
	}
}

// It proves nothing, and gives a path for an hour.
func TestKamailioLetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		c.replay(c.next(frame.AUTH), "auth-401.msrp")
		req := c.next(frame.AUTH)
		credentials, _ := req.Get("Authorization")
		for _, want := range []string{`realm="sip.test"`, `uri="` + relayURI + `"`, "qop=auth,", "nc=00000001"} {
			if !strings.Contains(credentials+",", want) {
				t.Errorf("Authorization is %s, want %s in it", credentials, want)
			}
		}
		c.replay(req, "auth-200.msrp")
		m, err := offered()
		if err != nil || !strings.HasPrefix(attribute(t, m, "path"), "msrp://127.0.0.1:26736/msrp-6b022d1d-af7-1;tcp ") {
			t.Errorf("Offer() = %v, %v, want its path", m, err)
		}
	})
}

// It answers 423 to every Expires, with a header block that is none: no colon, zeros, no end of line.
func TestKamailioRefusesExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, func(cfg *Config) { cfg.Relays[0].Expires = 10 * time.Minute })
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c := s.relay.accept()
		c.replay(c.next(frame.AUTH), "auth-401.msrp")
		req := c.next(frame.AUTH)
		if expires, _ := req.Get("Expires"); expires != "600" {
			t.Errorf("Expires is %q, want 600", expires)
		}
		c.replay(req, "expires-600.msrp")
		req = c.next(frame.AUTH)
		if expires, ok := req.Get("Expires"); ok {
			t.Errorf("after 423 Expires is %q, want none", expires)
		}
		c.replay(req, "auth-200.msrp")
		if _, err := offered(); err != nil {
			t.Error(err)
		}
	})
}

// It puts a Message-ID into responses, and keeps the transaction of who has sent, which may be that of a
// request of ours.
func TestKamailioKeepsTransactions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		session, c, m := s.connected(nil)
		sent := later(func() (any, error) {
			return nil, session.Send(t.Context(), &Message{Body: strings.NewReader("Hello"), SuccessReport: true})
		})
		req := c.next(frame.SEND)
		bob := []string{"send1", req.ID, "msrp://127.0.0.1:51874/51874;tcp", own(t, m), "msrp://127.0.0.1:51870/51870;tcp", bobPath}
		if err := c.write(recorded(t, "send-relayed.msrp", bob...)); err != nil {
			t.Fatal(err)
		}
		if resp := c.next(""); resp.ID != req.ID || !strings.HasPrefix(resp.text, "MSRP "+req.ID+" 200 OK\r\n") {
			t.Errorf("the relay got %q, want 200 OK, with the comment that it needs", resp.text)
		}
		if report := c.next(frame.REPORT); report.To != "msrp://127.0.0.1:26736/msrp-6b022d1d-af8-2;tcp "+bobPath {
			t.Errorf("the report goes to %s", report.To)
		}
		c.replay(req, "send-200.msrp")
		if err := c.write(recorded(t, "report-relayed.msrp", "msrp://127.0.0.1:51870/51870;tcp", own(t, m), "1a2b", req.MessageID)); err != nil {
			t.Fatal(err)
		}
		if _, err := sent(); err != nil {
			t.Errorf("Send() = %v", err)
		}
		for in, err := range session.Messages(t.Context()) {
			text := make([]byte, 10)
			n, _ := in.Read(text)
			if err != nil || string(text[:n]) != "Hello" {
				t.Errorf("read %q, %v, want Hello", text[:n], err)
			}
			break
		}
	})
}

// With its sample script a message to a peer without a relay comes back to who has sent it.
func TestKamailioSendsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, nil)
		_, c, m := s.connected(nil)
		if err := c.write(recorded(t, "owner-relayed.msrp", "msrp://127.0.0.1:51870/51870;tcp", own(t, m))); err != nil {
			t.Fatal(err)
		}
		if resp := c.next(""); resp.Status != frame.StatusNoSession {
			t.Errorf("answered with %q, want 481", resp.text)
		}
	})
}

// What it answers to a SEND that it does not take.
func TestKamailioRefusesMessages(t *testing.T) {
	for name, want := range map[string]frame.Status{"length-12000-501.msrp": frame.StatusUnknownMethod, "unknown-session-481.msrp": frame.StatusNoSession} {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t, nil)
			session, c, _ := s.connected(nil)
			sent := later(func() (any, error) { return nil, session.SendText(t.Context(), "Hi") })
			c.replay(c.next(frame.SEND), name)
			if _, err := sent(); !errors.Is(err, want) {
				t.Errorf("SendText() = %v, want %v", err, want)
			}
			if want == frame.StatusNoSession {
				if err := session.SendText(t.Context(), "Hi"); !errors.Is(err, ErrLost) {
					t.Errorf("then SendText() = %v, want ErrLost", err)
				}
			}
		})
	}
}

const webSocketURI = "msrp://192.0.2.9:2855;ws"

// overWebSocket has the relay reached by WebSocket.
func overWebSocket(cfg *Config) { cfg.Relays[0].URI = webSocketURI }

// Its Use-Path for a WebSocket says tcp.
func TestKamailioOverWebSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c, _ := s.relay.acceptWebSocket(func(*http.Request) {})
		c.replay(c.next(frame.AUTH), "auth-401.msrp")
		c.replay(c.next(frame.AUTH), "auth-200-ws.msrp")
		m, err := offered()
		if err != nil {
			t.Fatal(err)
		}
		if use := "msrp://127.0.0.1:26738/msrp-6b022d1d-af8-1;tcp "; !strings.HasPrefix(attribute(t, m, "path"), use) || m.Proto != "TCP/MSRP" {
			t.Errorf("offered %s with %s, want TCP/MSRP and its path", m.Proto, attribute(t, m, "path"))
		}
	})
}

// RFC 6455 section 7.4.1: where its script is wrong it sends bytes of MSRP with no WebSocket around them. The
// connection is closed with 1002.
func TestKamailioUnframed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, overWebSocket)
		session := NewSession(s.alice, nil)
		offered := later(func() (*sdp.Media, error) { return session.Offer(t.Context()) })
		c, ws := s.relay.acceptWebSocket(func(*http.Request) {})
		c.admit(usePath)
		if _, err := offered(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.nc.Write([]byte(recorded(t, "ws-unframed.frames"))); err != nil {
			t.Fatal(err)
		}
		var closed *websocket.CloseError
		if text, err := ws.Read(); !errors.As(err, &closed) || closed.Code != websocket.CodeProtocol {
			t.Errorf("the relay read %q, %v, want a close frame with 1002", text, err)
		}
		for _, err := range session.Messages(t.Context()) {
			if !errors.Is(err, ErrLost) {
				t.Errorf("Messages: %v, want ErrLost", err)
			}
		}
	})
}
