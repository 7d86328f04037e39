package transport

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/resolve"
)

// Config holds the options of an Endpoint.
type Config struct {
	// Listen names the sockets to bind, such as "udp:0.0.0.0:5060",
	// "tcp:[::1]:0", "tls::5061", "ws:127.0.0.1:8080" or "wss::443". 0.0.0.0 is
	// every IPv4 address; no host, as in "udp::5060", is every address of both
	// families. Port 0 picks a free one, the same for all entries of a transport
	// and for UDP and TCP, where that can be had. Who listens on UDP should
	// listen on TCP at the same port (RFC 3261 section 18.2.1). Connections can
	// be made whatever is bound; an empty list makes an Endpoint that can do
	// nothing else.
	Listen []string

	// Sockets is how many UDP sockets share each udp entry of Listen, each with
	// a goroutine of its own, where the system can do that (SO_REUSEPORT of
	// Linux). 0 means 1.
	Sockets int

	// Advertise is the host that peers reach us by, if it is not the bound
	// address: a name or an IP address, for Via and Contact. An IP address is
	// for peers of its family; to those of the other one it means nothing, nor
	// do AdvertisePorts then. "" means the bound address, or for a wildcard the
	// local address that leads to the peer.
	Advertise string

	// AdvertisePorts are the ports that peers reach us at, by transport, if
	// they are not the bound ones: {"udp": 5070}.
	AdvertisePorts map[string]int

	// TLS is what connections and listeners with TLS use; nil means the
	// system's root certificates and none of our own. TLS 1.2 is the least.
	// InsecureSkipVerify and ServerName mean what they always do.
	//
	// A server must prove to be the domain that the request is for: over TLS by
	// the rules of RFC 5922, over WSS by those of HTTPS (RFC 7118 section 9.1).
	//
	// To listen takes a certificate, in Certificates, GetCertificate or
	// GetConfigForClient; see Certificate for one that can be exchanged. Clients
	// of our tls listeners are asked for theirs where ClientAuth is zero, and one
	// that verifies by ClientCAs gives them Identities. All of this also goes
	// for what GetConfigForClient chooses.
	TLS *tls.Config

	// WebSocketPath is the path that is asked of WebSocket servers; "" means
	// "/". Our own listeners take any.
	WebSocketPath string

	// WebSocketHeader returns what is sent to a WebSocket server with the handshake:
	// Origin, Cookie, Authorization (RFC 7118 section 7). A request leads to whosever
	// server its URI, or that of a redirection, names, so a secret is not for every Host
	// of to: over WSS it has proved to be that, over WS it may be anybody. Host and what
	// the handshake itself consists of cannot be set. It is called from the goroutine of
	// that connection. A nil func, or a nil header, means none. An answer that is no 101,
	// such as a 401, is a *HandshakeError.
	WebSocketHeader func(to resolve.Target) http.Header

	// AcceptWebSocket says whether a handshake is taken, of our ws and wss
	// listeners and of WebSocketHandler; false is answered with 403. It is called
	// from the goroutine of that connection. nil takes all, whatever their
	// Origin: the page and the SIP server are usually on different hosts (RFC 7118
	// section 8.1), and who may do what is asked of the user, message by message.
	// A program that takes a cookie, an address or a client certificate for an
	// answer must look at Origin here: any page that the user visits can speak
	// for the user otherwise (RFC 6455 section 10.2).
	AcceptWebSocket func(*http.Request) bool

	// Transports are those that requests may be sent by, of "udp", "tcp",
	// "tls", "ws" and "wss", the most wanted first: the order in which they are
	// tried for a domain that has no preference of its own. nil means all of
	// them, in that order. UDP needs a socket in Listen.
	Transports []string

	// ViaParams are added to our Via of each request, behind branch and rport:
	// what we tell every server, such as ";oc" (RFC 7339 section 4.1). Empty
	// means none.
	ViaParams sip.Params

	// Resolver answers questions of DNS; nil means the system's.
	Resolver resolve.Resolver

	// Handle is called for each message, in the order of arrival on its
	// socket, from the goroutine that reads the socket: it must not block, or
	// Inbound.Detach first.
	// Inbound.Endpoint is what it answers by. If it is nil the messages wait for
	// Receive. A panic in it is logged with the message, and ends nothing else.
	// Close does not wait for it: a call that is about to begin meanwhile may begin
	// when Close has returned. Nothing is read any more then.
	Handle func(*Inbound)

	// Closed is called when a connection that carried messages is gone, with
	// what ended it. Close does not wait for it, and so may have returned when it is
	// told of the last ones. It may be nil.
	Closed func(Flow, error)

	// Idle is how long a connection without traffic is kept on which nothing is
	// waited for (Hold); 0 means 10 minutes. A peer that connects has 10 seconds for the handshakes of TLS
	// and WebSocket, 32 to complete its first message, and as long for each
	// further one that it begins. A connection that was opened for a response,
	// and carries nothing else, is kept for 32 seconds at most.
	Idle time.Duration

	// MaxConns is how many connections that peers cause are held at once: those
	// that they make, and those that are opened to answer them because the
	// connection of a request is gone. 0 means 10,000. Further ones are closed
	// at once, or not opened.
	MaxConns int

	// MaxConnsPerSource is how many of them one IPv4 address or one /64 of IPv6
	// may have; 0 means 1,000, less than 0 any number.
	MaxConnsPerSource int

	// MaxRate is how many messages a second are taken from one such source,
	// and how many at once after a second of silence, by UDP and by connections
	// each; 0 means 20,000, less than 0 any number. STUN and pings count too. What
	// UDP brings beyond that is dropped without an answer; a connection is read
	// more slowly. Memory for this is the same for any number of sources, so two
	// of them may be counted as one.
	MaxRate int

	// MaxBytes is how many bytes may wait on all connections together, peers'
	// and ours: what is unsent or being written, and messages that have not come
	// in whole, with the buffers that they take, about twice the message. 0 means
	// 256 MiB, less than 0 any number. Past it a send gets ErrBacklog, and a
	// connection with a message that finds no room is closed. Each connection has
	// 16 KiB beside that, whatever the others do, which is enough for usual
	// messages: so all there is to wait is MaxBytes and 16 KiB a connection. A
	// peer has room for as long as its message or a write may take, 32 and 10
	// seconds. Who keeps coming with many connections, from one source or from
	// many, can so keep larger messages from everybody, but not usual ones; a
	// lower MaxConnsPerSource makes that take more sources.
	MaxBytes int

	// MaxUDP is the size in bytes above which a request goes by TCP; 0 means
	// 1300 (RFC 3261 section 18.1.1).
	MaxUDP int

	// FlowKey signs flow tokens, see FlowToken. With the same key, those of UDP
	// flows stay good when a program starts again, and nodes know those of each
	// other, see ErrElsewhere. A proxy derives further keys from it. nil means a
	// random one.
	FlowKey []byte

	Network Network      // nil: the operating system's
	Trace   *Trace       // nil: none
	Logger  *slog.Logger // nil: slog.Default
}

// defaults fills in what the Config leaves open.
func (e *Endpoint) defaults() error {
	cfg := &e.cfg
	if cfg.Network == nil {
		cfg.Network = &system{}
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	cfg.Idle = cmp.Or(cfg.Idle, 10*time.Minute)
	cfg.MaxConns = cmp.Or(cfg.MaxConns, 10000)
	cfg.MaxConnsPerSource = cmp.Or(cfg.MaxConnsPerSource, 1000)
	cfg.MaxRate = cmp.Or(cfg.MaxRate, 20000)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 256<<20)
	e.room.limit = int64(cfg.MaxBytes)
	cfg.MaxUDP = cmp.Or(cfg.MaxUDP, 1300)
	cfg.WebSocketPath = cmp.Or(cfg.WebSocketPath, "/")
	// Who forges the source of datagrams is not to slow down its connections.
	e.rate, e.pacer = newBuckets(cfg.MaxRate, cfg.MaxRate), newBuckets(cfg.MaxRate, cfg.MaxRate)
	e.sources = newPerSource(cfg.MaxConnsPerSource)
	e.anewBy = newPerSource(maxAnewPerSource)
	e.tokens = newTokenKey(cfg.FlowKey)
	if cfg.Handle == nil {
		e.inbox = make(chan *Inbound, 64)
		cfg.Handle = e.enqueue
	}
	if cfg.Advertise != "" {
		if uri, err := parseHostPort(cfg.Advertise); err == nil && uri.Port != 0 {
			return fmt.Errorf("transport: advertise %q: want a host without a port; see AdvertisePorts", cfg.Advertise)
		}
		if _, err := parseHostPort(hostText(cfg.Advertise)); err != nil {
			return fmt.Errorf("transport: advertise %q: %w", cfg.Advertise, err)
		}
	}
	if !strings.HasPrefix(cfg.WebSocketPath, "/") {
		return fmt.Errorf("transport: WebSocketPath %q does not begin with a slash", cfg.WebSocketPath)
	}
	named := map[string]bool{}
	for _, name := range cfg.Transports {
		if kindOf(name) == "" {
			return fmt.Errorf("transport: no transport %q", name)
		}
	}
	for name, port := range cfg.AdvertisePorts {
		kind := kindOf(name)
		if kind == "" || port < 1 || port > 65535 {
			return fmt.Errorf("transport: advertise port %d of %q: no such port or transport", port, name)
		}
		if named[kind] {
			return fmt.Errorf("transport: advertise port %d of %q: %s has two", port, name, kind)
		}
		named[kind] = true
	}
	return nil
}
