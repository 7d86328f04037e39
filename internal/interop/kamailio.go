package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/sip/siptest"
)

// KamailioOptions are the options of StartKamailio and StartEdge. Nil will do.
type KamailioOptions struct {
	Algorithm   string        // of the digest challenge: "MD5" or "SHA-256"; empty: MD5
	NonceExpire time.Duration // after which a nonce is stale; zero: 5 minutes
	MinExpires  time.Duration // shorter registrations get 423; zero: 1 second
	FlowTimer   time.Duration // the Flow-Timer of RFC 5626 section 5.4; zero: none
	Ordered     bool          // one process for each socket, which keeps an ACK and what follows it in order; otherwise two

	Authority  *siptest.Authority // of its certificate; nil: an authority of its own
	ClientCert bool               // ask TLS clients for a certificate of the same authority, and refuse others

	In    *Namespace // where it runs; nil: where the test does
	Hosts []string   // the addresses it listens at; nil: 127.0.0.1 and ::1

	names []string // in its certificate, beside those that it always has
}

// Kamailio is a SIP server: by StartKamailio a registrar and a record-routing
// proxy for the domain sip.test, by StartEdge an edge proxy in front of one.
//
// The registrar has every user that there can be, alice with the password
// "alicepw" and so on. It challenges REGISTER with 401, and INVITE and other
// requests that come from its own domain with 407. It knows Path, outbound and
// GRUU.
//
// Either speaks UDP, TCP, TLS, WS and WSS, answers STUN on its UDP port and CRLF
// on its connections, and pings a WebSocket that is silent for 5 seconds.
type Kamailio struct {
	Addr      string             // the first of the addresses and the port it listens at, UDP and TCP
	Authority *siptest.Authority // of its certificate, which is for sip.test, 127.0.0.1 and ::1
	KeyHash   string             // of its certificate, for a browser

	port   int
	rpc    string
	tables string // of StartPresence
	in     *Namespace

	p     *process
	start func(t testing.TB) // with the same ports and the same configuration
}

// StartKamailio starts a registrar.
func StartKamailio(t testing.TB, opts *KamailioOptions) *Kamailio {
	t.Helper()
	if opts == nil {
		opts = &KamailioOptions{}
	}
	seconds := func(d, def time.Duration) string {
		if d == 0 {
			d = def
		}
		return strconv.Itoa(int(d.Seconds()))
	}
	algorithm := opts.Algorithm
	if algorithm == "" {
		algorithm = "MD5"
	}
	return startKamailio(t, "kamailio", opts,
		"ALGORITHM", algorithm,
		"NONCE_EXPIRE", seconds(opts.NonceExpire, 5*time.Minute),
		"MIN_EXPIRES", seconds(opts.MinExpires, time.Second),
		"FLOW_TIMER", seconds(opts.FlowTimer, 0))
}

// StartEdge starts an edge proxy (RFC 5626 section 5): what it gets from its
// clients goes to the address of a registrar, with a Path and a flow token for a REGISTER,
// and what comes back with the token goes out on the flow of that REGISTER or
// is answered with 430.
func StartEdge(t testing.TB, registrar string, opts *KamailioOptions) *Kamailio {
	t.Helper()
	if opts == nil {
		opts = &KamailioOptions{}
	}
	return startKamailio(t, "kamailio-edge", opts, "REGISTRAR", "sip:"+registrar)
}

func startKamailio(t testing.TB, name string, opts *KamailioOptions, values ...string) *Kamailio {
	t.Helper()
	path := program(t, "kamailio", "kamailio")
	dir := t.TempDir()
	hosts := opts.Hosts
	if hosts == nil {
		hosts = []string{"127.0.0.1", "::1"}
	}
	k := &Kamailio{port: Port(t), rpc: loopback(Port(t)), in: opts.In, Authority: opts.Authority}
	k.Addr = k.At("udp", hosts[0])
	if k.Authority == nil {
		k.Authority = siptest.NewAuthority()
	}
	names := slices.Concat([]string{"sip:sip.test", "sip.test"}, hosts, opts.names)
	for _, host := range hosts { // what its Record-Route calls it
		names = append(names, "sip:"+strings.TrimSuffix(net.JoinHostPort(host, ""), ":"))
	}
	cert := k.Authority.Certificate(names...)
	k.KeyHash = keyHash(cert.Leaf)
	writeCertificate(t, dir, k.Authority, cert)

	var listen strings.Builder
	for _, host := range hosts {
		for _, socket := range []string{"udp", "tcp", "tls", "ws", "wss"} {
			proto := strings.NewReplacer("wss", "tls", "ws", "tcp").Replace(socket)
			fmt.Fprintf(&listen, "listen=%s:%s\n", proto, k.At(socket, host))
		}
	}
	children := "2"
	if opts.Ordered {
		children = "1"
	}
	clientCert := "0"
	if opts.ClientCert {
		clientCert = "1"
	}
	values = append(values, "DIR", dir)
	config(t, "kamailio-listen.cfg", filepath.Join(dir, "kamailio-listen.cfg"),
		"NAME", name, "LISTEN", listen.String(), "RPC", k.rpc, "CLIENT_CERT", clientCert, "CHILDREN", children, "DIR", dir)
	cfg := filepath.Join(dir, "kamailio.cfg")
	config(t, name+".cfg", cfg, values...)
	whole := t // until whose end it runs, whatever part of it starts it again
	k.start = func(t testing.TB) {
		t.Helper()
		// In the foreground, log to stderr, runtime files in the test's folder.
		k.p = startIn(whole, opts.In, dir, nil, path, "-DD", "-E", "-m", "32", "-f", cfg, "-Y", dir, "-w", dir)
		// The process that takes connections is the last that it makes.
		k.p.ready(t, func() bool {
			processes, err := k.ask("core.ps")
			return err == nil && strings.Contains(string(processes), "tcp main process")
		})
	}
	k.start(t)
	return k
}

// At returns the address and port at which it speaks a transport: "udp", "tcp",
// "tls", "ws" or "wss". host is one of its addresses.
func (k *Kamailio) At(transport, host string) string {
	return serverAt(k.port, transport, host)
}

// URI returns its URI for a transport and one of its addresses.
func (k *Kamailio) URI(transport, host string) string {
	return "sip:" + k.At(transport, host) + ";transport=" + transport
}

// A Binding is what a registrar knows of a contact.
type Binding struct {
	Contact  string // its URI
	Received string // where it is reached instead, if the Contact is not to be believed
	Path     string // the Path of its registration, as a Route
	Instance string // its +sip.instance, in angle brackets
	RegID    int    // its reg-id; 0: none
}

// Contacts returns the URIs that a user of the domain is registered with, none
// if there is no binding.
func (k *Kamailio) Contacts(t testing.TB, user string) []string {
	t.Helper()
	var uris []string
	for _, b := range k.Bindings(t, user) {
		uris = append(uris, b.Contact)
	}
	return uris
}

// Bindings returns the bindings of a user of the domain.
func (k *Kamailio) Bindings(t testing.TB, user string) []Binding {
	t.Helper()
	result, err := k.ask("ul.dump")
	if err != nil {
		t.Fatal(err)
	}
	var dump struct {
		Domains []struct {
			Domain struct {
				AoRs []struct {
					Info struct {
						AoR      string
						Contacts []struct {
							Contact struct {
								Address, Path, Received, Instance string
								RegID                             int `json:"Reg-Id"`
							}
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(result, &dump); err != nil {
		t.Fatalf("kamailio's bindings: %v in %s", err, result)
	}
	unset := func(s string) string {
		if slices.Contains([]string{"[not set]", "[unset]"}, s) {
			return ""
		}
		return s
	}
	var bindings []Binding
	for _, d := range dump.Domains {
		for _, aor := range d.Domain.AoRs {
			for _, c := range aor.Info.Contacts {
				if aor.Info.AoR == user {
					bindings = append(bindings, Binding{
						Contact:  c.Contact.Address,
						Received: unset(c.Contact.Received),
						Path:     unset(c.Contact.Path),
						Instance: unset(c.Contact.Instance),
						RegID:    c.Contact.RegID,
					})
				}
			}
		}
	}
	return bindings
}

// ask calls a command of Kamailio's JSON-RPC interface.
func (k *Kamailio) ask(method string, params ...string) (json.RawMessage, error) {
	var conn net.Conn
	var err error
	in(k.in, func() { conn, err = net.Dial("udp", k.rpc) })
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Second))
	if params == nil {
		params = []string{} // null is no array
	}
	question, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write(question); err != nil {
		return nil, fmt.Errorf("ask kamailio for %s: %w", method, err)
	}
	buf := make([]byte, 65536)
	n, err := conn.Read(buf)
	if err != nil {
		return nil, fmt.Errorf("ask kamailio for %s: %w", method, err)
	}
	var answer struct {
		Result json.RawMessage
		Error  *struct{ Message string }
	}
	if err := json.Unmarshal(buf[:n], &answer); err != nil {
		return nil, fmt.Errorf("ask kamailio for %s: %w", method, err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("ask kamailio for %s: %s", method, answer.Error.Message)
	}
	return answer.Result, nil
}
