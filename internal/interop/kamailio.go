package interop

import (
	"encoding/json"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// KamailioOptions are the options of StartKamailio. Nil will do.
type KamailioOptions struct {
	Algorithm   string        // of the digest challenge: "MD5" or "SHA-256"; empty: MD5
	NonceExpire time.Duration // after which a nonce is stale; zero: 5 minutes
	MinExpires  time.Duration // shorter registrations get 423; zero: 1 second
}

// Kamailio is a registrar and a record-routing proxy for the domain sip.test.
// Its users are alice, bob, carol and dave, each with the password "alicepw"
// and so on. It challenges REGISTER with 401, and INVITE and other requests
// that come from its own domain with 407.
type Kamailio struct {
	Addr string // 127.0.0.1 and the port it listens at, UDP and TCP
	rpc  string
}

// StartKamailio starts Kamailio.
func StartKamailio(t testing.TB, opts *KamailioOptions) *Kamailio {
	t.Helper()
	if opts == nil {
		opts = &KamailioOptions{}
	}
	or := func(d, def time.Duration) string {
		if d == 0 {
			d = def
		}
		return strconv.Itoa(int(d.Seconds()))
	}
	algorithm := opts.Algorithm
	if algorithm == "" {
		algorithm = "MD5"
	}
	path := program(t, "kamailio", "kamailio")
	dir := t.TempDir()
	sip, rpc := Port(t), Port(t)
	k := &Kamailio{Addr: loopback(sip), rpc: loopback(rpc)}
	cfg := filepath.Join(dir, "kamailio.cfg")
	config(t, "kamailio.cfg", cfg,
		"PORT", strconv.Itoa(sip),
		"RPC", strconv.Itoa(rpc),
		"ALGORITHM", algorithm,
		"NONCE_EXPIRE", or(opts.NonceExpire, 5*time.Minute),
		"MIN_EXPIRES", or(opts.MinExpires, time.Second))
	// In the foreground, log to stderr, runtime files in the test's folder.
	p := start(t, dir, nil, path, "-DD", "-E", "-m", "32", "-f", cfg, "-Y", dir, "-w", dir)
	p.ready(t, func() bool {
		_, err := k.ask("core.uptime")
		return err == nil
	})
	return k
}

// Contacts returns the URIs that a user of the domain is registered with, none
// if there is no binding.
func (k *Kamailio) Contacts(t testing.TB, user string) []string {
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
							Contact struct{ Address string }
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal(result, &dump); err != nil {
		t.Fatalf("kamailio's bindings: %v in %s", err, result)
	}
	var uris []string
	for _, d := range dump.Domains {
		for _, aor := range d.Domain.AoRs {
			for _, c := range aor.Info.Contacts {
				if aor.Info.AoR == user {
					uris = append(uris, c.Contact.Address)
				}
			}
		}
	}
	return uris
}

// ask calls a command of Kamailio's JSON-RPC interface.
func (k *Kamailio) ask(method string, params ...string) (json.RawMessage, error) {
	conn, err := net.Dial("udp", k.rpc)
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
