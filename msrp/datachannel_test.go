package msrp

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goparley/parley/msrp/frame"
	"github.com/goparley/parley/sdp"
)

// A messageEnd is one end of a data channel as pion gives it: a message for each Read and Write.
type messageEnd struct {
	t       *testing.T
	in, out chan []byte
	over    chan struct{} // of both ends
	once    *sync.Once
	limit   int // bytes of a message that is sent
	longest *int
}

// messagePipe returns both ends of a data channel for messages of at most limit bytes.
func messagePipe(t *testing.T, limit int) (a, b *messageEnd) {
	x, y, over, once, longest := make(chan []byte, 4), make(chan []byte, 4), make(chan struct{}), new(sync.Once), new(int)
	return &messageEnd{t, x, y, over, once, limit, longest}, &messageEnd{t, y, x, over, once, limit, new(int)}
}

func (e *messageEnd) Read(p []byte) (int, error) {
	select {
	case data := <-e.in:
		if len(data) > len(p) {
			return 0, io.ErrShortBuffer
		}
		return copy(p, data), nil
	case <-e.over:
		return 0, io.EOF
	}
}

func (e *messageEnd) Write(p []byte) (int, error) {
	if len(p) > e.limit {
		e.t.Errorf("a message of %d bytes, want %d at most", len(p), e.limit)
	}
	*e.longest = max(*e.longest, len(p))
	select {
	case e.out <- bytes.Clone(p):
		return len(p), nil
	case <-e.over:
		return 0, io.ErrClosedPipe
	}
}

func (e *messageEnd) Close() error {
	e.once.Do(func() { close(e.over) })
	return nil
}

func (e *messageEnd) closed() bool {
	select {
	case <-e.over:
		return true
	default:
		return false
	}
}

// A channelScene is alice and bob, who have agreed on a session over a data channel.
type channelScene struct {
	alice, bob *Session
	offer      *sdp.Media // of the association
	answer     *sdp.Media
	a, b       *messageEnd
}

func newChannelScene(t *testing.T, limit int, cfg *SessionConfig) *channelScene {
	t.Helper()
	s := &channelScene{}
	if cfg == nil {
		cfg = &SessionConfig{}
	}
	cfg.DataChannel = true
	for _, session := range []**Session{&s.alice, &s.bob} {
		e, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		*session = NewSession(e, cfg)
	}
	chat := DataChannel{ID: 2, Label: "chat"}
	offer, err := s.alice.Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.offer = association(chat.Attributes(offer))
	answer, err := s.bob.Answer(t.Context(), chat.Section(s.offer))
	if err != nil || answer == nil {
		t.Fatalf("Answer() = %v, %v", answer, err)
	}
	s.answer = association(chat.Attributes(answer))
	if err := s.bob.Update(t.Context(), answer, chat.Section(s.offer)); err != nil {
		t.Fatal(err)
	}
	if err := s.alice.Update(t.Context(), offer, chat.Section(s.answer)); err != nil {
		t.Fatal(err)
	}
	s.a, s.b = messagePipe(t, limit)
	return s
}

func (s *channelScene) open(t *testing.T) {
	t.Helper()
	if err := s.bob.Open(s.b, s.b.limit, s.a.limit); err != nil {
		t.Fatal(err)
	}
	if err := s.alice.Open(s.a, s.a.limit, s.b.limit); err != nil {
		t.Fatal(err)
	}
}

func association(attributes []sdp.Attribute) *sdp.Media {
	return &sdp.Media{Type: "application", Proto: "UDP/DTLS/SCTP", Formats: []string{"webrtc-datachannel"}, Port: 9, Attributes: attributes}
}

// lines returns attributes as they are written.
func written(attributes []sdp.Attribute) (list []string) {
	for _, a := range attributes {
		list = append(list, strings.TrimSuffix(a.Name+":"+a.Value, ":"))
	}
	return list
}

// RFC 8873 sections 5.2 to 5.5: text and large messages, in messages that the channel takes.
func TestDataChannelCarriesSession(t *testing.T) {
	for _, limit := range []int{1200, 64 << 10, 256 << 10} {
		synctest.Test(t, func(t *testing.T) {
			s := newChannelScene(t, limit, &SessionConfig{AcceptTypes: []string{"*"}})
			s.open(t)
			for name, sessions := range map[string][2]*Session{"alice": {s.alice, s.bob}, "bob": {s.bob, s.alice}} {
				for _, size := range []int{0, 2, 1200, 1 << 20} {
					data := bytes.Repeat([]byte{'x'}, size)
					sent := later(func() (any, error) {
						return nil, sessions[0].Send(t.Context(), &Message{Body: bytes.NewReader(data), SuccessReport: true})
					})
					for in, err := range sessions[1].Messages(t.Context()) {
						if err != nil {
							t.Fatal(err)
						}
						if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, data) {
							t.Errorf("%s sent %d bytes, %d have arrived, %v", name, size, len(got), err)
						}
						break
					}
					if _, err := sent(); err != nil {
						t.Errorf("%s: Send() of %d bytes = %v", name, size, err)
					}
				}
			}
			if fill := min(limit, 64<<10) * 9 / 10; *s.a.longest < fill {
				t.Errorf("the longest message has %d bytes, want at least %d", *s.a.longest, fill)
			}
		})
	}
}

// RFC 8873 section 4.4: what must stand in an offer and its answer.
func TestDataChannelDescription(t *testing.T) {
	s := newChannelScene(t, 1200, &SessionConfig{AcceptTypes: []string{"message/cpim", "text/plain"}, MaxSize: 1000})
	for name, c := range map[string]struct {
		m     *sdp.Media
		setup string
	}{"offer": {s.offer, "actpass"}, "answer": {s.answer, "passive"}} {
		got := written(c.m.Attributes)
		path := ""
		for i, line := range got {
			if value, ok := strings.CutPrefix(line, "dcsa:2 path:"); ok {
				path, got[i] = value, "dcsa:2 path"
			}
		}
		want := []string{`dcmap:2 label="chat";subprotocol="msrp"`, "dcsa:2 path", "dcsa:2 accept-types:message/cpim text/plain", "dcsa:2 max-size:1000",
			"dcsa:2 setup:" + c.setup, "dcsa:2 msrp-cema"}
		if !slices.Equal(got, want) {
			t.Errorf("%s has\n%q, want\n%q", name, got, want)
		}
		u, err := frame.ParseURI(path)
		if err != nil || !u.Secure || u.Transport != "dc" || u.Port == 0 {
			t.Errorf("%s has the path %s, %v, want a msrps URI with dc", name, path, err)
		}
	}
}

// RFC 8873 section 4.8: what is printed there is read, and written again.
func TestDataChannelExamples(t *testing.T) {
	for name, direction := range map[string]sdp.Direction{"offer": sdp.SendOnly, "answer": sdp.RecvOnly} {
		text, err := os.ReadFile("testdata/rfc8873-s4.8-" + name + ".sdp")
		if err != nil {
			t.Fatal(err)
		}
		d, err := sdp.Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		m := d.Media[0]
		channels := DataChannels(m)
		if want := []DataChannel{{0, "chat"}, {2, "file transfer"}}; !slices.Equal(channels, want) {
			t.Fatalf("%s: DataChannels() = %v, want %v", name, channels, want)
		}
		var again []string
		for _, c := range channels {
			again = append(again, written(c.Attributes(c.Section(m)))...)
		}
		all := written(m.Attributes)
		if want := all[len(all)-len(again):]; !slices.Equal(again, want) {
			t.Errorf("%s: written as\n%q, want\n%q", name, again, want)
		}
		file := channels[1].Section(m)
		if file.Direction != direction || file.Type != "message" || file.Port == 0 {
			t.Errorf("%s: the file's section is %+v", name, file)
		}
		if id, _ := file.Attribute("file-transfer-id"); id != "rjEtHAcYVZ7xKwGYpGGwyn5gqsSaU7Ep" {
			t.Errorf("%s: file-transfer-id is %q", name, id)
		}
		if name != "offer" {
			continue
		}
		e, err := New(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		session := NewSession(e, &SessionConfig{DataChannel: true, AcceptTypes: []string{"message/cpim"}})
		answer, err := session.Answer(t.Context(), file)
		if err != nil || answer == nil {
			t.Fatalf("Answer() = %v, %v", answer, err)
		}
		if answer.Direction != sdp.RecvOnly || attribute(t, answer, "setup") != "passive" {
			t.Errorf("answered %v, %s, want recvonly and passive", answer.Direction, attribute(t, answer, "setup"))
		}
	}
}

// RFC 8864 section 7 prints an offer as it was before RFC 8873: msrp, and neither msrp-cema nor setup. It is taken.
func TestDataChannelOldOffer(t *testing.T) {
	m := association([]sdp.Attribute{
		{Name: "dcmap", Value: `0 subprotocol="bfcp";label="bfcp"`},
		{Name: "dcmap", Value: `2 subprotocol="msrp";label="msrp"`},
		{Name: "dcsa", Value: "2 accept-types:message/cpim text/plain"},
		{Name: "dcsa", Value: "2 path:msrp://alice.example.com:10001/2s93i93idj;dc"},
	})
	e, err := New(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	session := NewSession(e, &SessionConfig{DataChannel: true})
	answer, err := session.Answer(t.Context(), DataChannel{ID: 2}.Section(m))
	if err != nil || answer == nil {
		t.Fatalf("Answer() = %v, %v", answer, err)
	}
	attribute(t, answer, "msrp-cema")
	if path, setup := attribute(t, answer, "path"), attribute(t, answer, "setup"); !strings.HasPrefix(path, "msrps://") || setup != "passive" {
		t.Errorf("answered with path %s and setup %s, want msrps and passive", path, setup)
	}
}

// RFC 8864 section 5.1.1: the examples of dcmap and others, of which those for MSRP are told.
func TestDataChannelMap(t *testing.T) {
	for value, want := range map[string]*DataChannel{
		`0`: nil,
		`1 subprotocol="bfcp";max-time=60000;priority=512`:        nil,
		`2 subprotocol="msrp";ordered=true;label="msrp"`:          {2, "msrp"},
		`3 label="Label 1";ordered=false;max-retr=5;priority=128`: nil,
		`4 label="foo%09bar";ordered=true;subprotocol="msrp"`:     {4, "foo\tbar"},
		`5 label="a;b";subprotocol="MSRP"`:                        {5, "a;b"},
		`6 subprotocol="msrp";ordered=false`:                      nil, // RFC 8873 section 4.3
		`6 subprotocol="msrp";max-retr=5`:                         nil,
		`6 subprotocol="msrp";max-time=5`:                         nil,
		`65535 subprotocol="msrp"`:                                {65535, ""},
		`65536 subprotocol="msrp"`:                                nil,
		`000002 subprotocol="msrp"`:                               nil,
		`-1 subprotocol="msrp"`:                                   nil,
		`1 subprotocol="msrp`:                                     nil,
		`1 subprotocol`:                                           nil,
		``:                                                        nil,
	} {
		list := DataChannels(association([]sdp.Attribute{{Name: "dcmap", Value: value}}))
		if want == nil && len(list) != 0 || want != nil && (len(list) != 1 || list[0] != *want) {
			t.Errorf("dcmap:%s is %v, want %v", value, list, want)
		}
	}
}

// A channel that is not there, or no more, has a section with port 0, and that ends the session (RFC 8873 section 4.6).
func TestDataChannelEnded(t *testing.T) {
	for name, change := range map[string]func(*sdp.Media){
		"removed":             func(m *sdp.Media) { m.Attributes = nil },
		"without its map":     func(m *sdp.Media) { m.Attributes = m.Attributes[1:] }, // RFC 8864 section 6.7
		"another subprotocol": func(m *sdp.Media) { m.Attributes[0].Value = `2 subprotocol="bfcp"` },
		"all of them":         func(m *sdp.Media) { m.Port = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newChannelScene(t, 1200, nil)
				s.open(t)
				change(s.answer)
				if err := s.alice.Update(t.Context(), s.offer, DataChannel{ID: 2}.Section(s.answer)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(3 * time.Second)
				if !s.a.closed() {
					t.Error("the channel is open")
				}
			})
		})
	}
	// A section in a bundle has no port of its own (RFC 9143).
	bundled := association([]sdp.Attribute{{Name: "dcmap", Value: `0 subprotocol="msrp"`}, {Name: "bundle-only"}})
	bundled.Port = 0
	if len(DataChannels(bundled)) != 1 {
		t.Error("a section in a bundle has no channels")
	}
}

// RFC 8873 section 5: the end of the session is that of the channel, and the other way around.
func TestDataChannelCloses(t *testing.T) {
	for name, end := range map[string]func(*channelScene){
		"the peer":     func(s *channelScene) { s.alice.Close() },
		"the channel":  func(s *channelScene) { s.a.Close() },
		"the endpoint": func(s *channelScene) { s.alice.e.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newChannelScene(t, 1200, nil)
				s.open(t)
				end(s)
				for _, err := range s.bob.Messages(t.Context()) {
					if !errors.Is(err, ErrLost) {
						t.Errorf("bob: %v, want ErrLost", err)
					}
				}
				if !s.a.closed() {
					t.Error("the channel is open")
				}
			})
		})
	}
}

// RFC 8873 section 5.2: who is active sends the first SEND, when the channel is open, and the other side waits for it.
func TestDataChannelActiveSendsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newChannelScene(t, 1200, nil)
		if err := s.bob.Open(s.b, 0, 0); err != nil {
			t.Fatal(err)
		}
		sent := later(func() (any, error) { return nil, s.bob.SendText(t.Context(), "Hi") })
		synctest.Wait()
		select {
		case data := <-s.a.in:
			t.Errorf("bob, who is passive, has sent %q", data)
		default:
		}
		if err := s.alice.Open(s.a, 0, 0); err != nil {
			t.Fatal(err)
		}
		if _, err := sent(); err != nil {
			t.Error(err)
		}
	})
}

// RFC 8873 section 4.4: URIs are compared although nothing is routed by them.
func TestDataChannelComparesURIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newChannelScene(t, 1200, nil)
		if err := s.alice.Open(s.a, 0, 0); err != nil {
			t.Fatal(err)
		}
		hello := string(<-s.b.in)
		h, _, _, err := frame.Parse([]byte(hello))
		if err != nil || h.Method != frame.SEND || h.HasBody {
			t.Fatalf("alice has sent %q, want an empty SEND", hello)
		}
		for _, c := range []struct {
			to, from string
			want     frame.Status
		}{
			{h.From, h.To, frame.StatusOK},
			{strings.Replace(h.From, ";dc", ";tcp", 1), h.To, frame.StatusNoSession},
			{strings.Replace(h.From, "msrps", "msrp", 1), h.To, frame.StatusNoSession},
			{h.From, "msrps://eve.invalid:9/eve;dc", frame.StatusNoSession},
		} {
			s.b.Write([]byte(crlf("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: 1\n-------d93kswow$\n", c.to, c.from)))
			resp := string(<-s.b.in)
			if got, _, _, err := frame.Parse([]byte(resp)); err != nil || got.Status != c.want {
				t.Errorf("to %s from %s: %q, want %d", c.to, c.from, resp, int(c.want))
			}
		}
	})
}

// Nobody gets at a session over a data channel by TCP.
func TestDataChannelIsNotReachedByTCP(t *testing.T) {
	e, err := New(&Config{Listen: []string{"tcp:127.0.0.1:0"}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := NewSession(e, &SessionConfig{DataChannel: true}).Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	nc, err := net.Dial("tcp", e.Addr(false).String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	io.WriteString(nc, crlf("MSRP d93kswow SEND\nTo-Path: %s\nFrom-Path: %s\nMessage-ID: 1\n-------d93kswow$\n", attribute(t, m, "path"), bobPath))
	resp, err := readFrame(bufio.NewReader(nc))
	if err != nil || !strings.HasPrefix(resp, "MSRP d93kswow 481 ") {
		t.Errorf("got %q, %v, want 481", resp, err)
	}
}

// What is in the way of Open.
func TestDataChannelOpenRefused(t *testing.T) {
	s := newChannelScene(t, 1200, nil)
	for _, size := range [][2]int{{1000, 0}, {0, 1000}, {-1, 0}} {
		if err := s.alice.Open(s.a, size[0], size[1]); err == nil {
			t.Errorf("Open with messages of %d and %d bytes: no error", size[0], size[1])
		}
	}
	s.open(t)
	if err := s.alice.Open(s.a, 0, 0); err == nil {
		t.Error("Open of a second channel: no error")
	}
	s.bob.Close()
	if err := s.bob.Open(s.b, 0, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("Open of a closed session = %v, want ErrClosed", err)
	}
	if err := NewSession(s.alice.e, &SessionConfig{DataChannel: true}).Open(s.a, 0, 0); !errors.Is(err, ErrNotConnected) {
		t.Errorf("Open before there is a description = %v, want ErrNotConnected", err)
	}
	if err := NewSession(s.alice.e, nil).Open(s.a, 0, 0); err == nil {
		t.Error("Open of a session over TCP: no error")
	}
}

// An endpoint with a relay has none for its data channels (RFC 8873 section 6).
func TestDataChannelGoesByNoRelay(t *testing.T) {
	e, err := New(&Config{Relays: []Relay{{URI: relayURI}}, Host: "alice.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	m, err := NewSession(e, &SessionConfig{DataChannel: true}).Offer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if path := attribute(t, m, "path"); !strings.HasPrefix(path, "msrps://alice.example.com:9/") || strings.Contains(path, " ") {
		t.Errorf("path = %s, want our URI alone", path)
	}
}

// Held by the peer, who describes recvonly or inactive (RFC 4975 section 8.9).
func TestDataChannelHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newChannelScene(t, 1200, nil)
		s.open(t)
		chat := DataChannel{ID: 2}
		held := chat.Section(s.offer)
		held.Direction = sdp.SendOnly
		answer, err := s.bob.Answer(t.Context(), held)
		if err != nil || answer.Direction != sdp.RecvOnly {
			t.Fatalf("Answer() = %v, %v, want recvonly", answer, err)
		}
		if err := s.bob.Update(t.Context(), answer, held); err != nil {
			t.Fatal(err)
		}
		if err := s.bob.SendText(t.Context(), "Hi"); !errors.Is(err, ErrHeld) {
			t.Errorf("SendText() = %v, want ErrHeld", err)
		}
		if attribute(t, answer, "path") != attribute(t, chat.Section(s.answer), "path") {
			t.Error("the path has changed with the direction")
		}
	})
}
