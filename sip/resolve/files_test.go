package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What resolv.conf says: three servers at most, and options within reason.
func TestResolvConf(t *testing.T) {
	for text, want := range map[string]string{
		"nameserver 192.0.2.53\nnameserver 2001:db8::53 # ours\n":                                      "[192.0.2.53:53 [2001:db8::53]:53] 2s 2",
		"; none\nsearch example.com\n":                                                                 "[127.0.0.1:53] 2s 2",
		"nameserver fe80::1%eth0\noptions ndots:5 timeout:1 attempts:3 rotate":                         "[[fe80::1%eth0]:53] 1s 3",
		"nameserver\nnameserver x\nnameserver ::1\noptions timeout:x timeout:0 attempts:99\noptions\n": "[[::1]:53] 1s 5",
		strings.Repeat("nameserver 192.0.2.53\n", 10) + "options timeout:3600":                         "[192.0.2.53:53 192.0.2.53:53 192.0.2.53:53] 30s 2",
	} {
		c := parseResolvConf([]byte(text))
		if got := fmt.Sprint(c.servers, c.timeout, c.attempts); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// "use-vc" has all questions go by TCP.
func TestUseVC(t *testing.T) {
	d, _ := machine(t, "", "nameserver 192.0.2.53\noptions use-vc attempts:1")
	_, err := d.Lookup(t.Context(), "example.com", TypeA)
	var failed *net.OpError
	if !errors.As(err, &failed) || failed.Net != "tcp" {
		t.Errorf("%v, want a failure of TCP", err)
	}
}

// machine is a DNS with files of its own.
func machine(t *testing.T, hosts, conf string) (d *DNS, write func(name, text string)) {
	t.Helper()
	d = &DNS{Dialer: nowhere{}}
	d.system.dir = t.TempDir()
	write = func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(d.system.dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hosts", hosts)
	write("resolv.conf", conf)
	return d, write
}

// nowhere is a Dialer that says whom it was to connect to.
type nowhere struct{}

func (nowhere) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	return nil, &net.OpError{Op: "dial", Net: network, Err: fmt.Errorf("no route to %s", address)}
}

// A name in the hosts file has the addresses that stand there, of either family
// or of one, and neither SRV nor NAPTR records. Nobody is asked.
func TestHostsFile(t *testing.T) {
	d, _ := machine(t, `
		127.0.0.1   localhost  # this machine
		192.0.2.1   PBX pbx.example.com.
		2001:db8::1 pbx
		not-an-addr other
		192.0.2.2
	`, "nameserver 192.0.2.53")
	for _, c := range []struct {
		name string
		t    Type
		want string
	}{
		{"pbx", TypeA, "[192.0.2.1]"},
		{"Pbx.", TypeAAAA, "[2001:db8::1]"},
		{"pbx.example.com", TypeA, "[192.0.2.1]"},
		{"pbx.example.com", TypeAAAA, "[]"},
		{"pbx.example.com", TypeNAPTR, "[]"},
		{"_sip._udp.pbx", TypeSRV, "[]"},
		{"localhost", TypeA, "[127.0.0.1]"},
		{"localhost", TypeAAAA, "[::1]"},
		{"_sips._tcp.localhost", TypeSRV, "[]"},
	} {
		a, err := d.Lookup(t.Context(), c.name, c.t)
		if err != nil || fmt.Sprint(a.Addrs) != c.want || a.SRV != nil || a.NAPTR != nil {
			t.Errorf("%v %s: %v, %v, want %s", c.t, c.name, a, err, c.want)
		}
	}
	for _, name := range []string{"other", "_sip._udp.other", "_sip", "x.pbx"} {
		if a, err := d.Lookup(t.Context(), name, TypeSRV); err == nil || !strings.Contains(err.Error(), "no route to 192.0.2.53:53") {
			t.Errorf("%s: %v, %v, want it asked", name, a, err)
		}
	}
}

// The files are read again when they change, though not with every question.
func TestFilesChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, write := machine(t, "192.0.2.1 pbx", "nameserver 192.0.2.53")
		expect := func(want string) {
			t.Helper()
			got := ""
			if a, err := d.Lookup(t.Context(), "pbx", TypeA); err != nil {
				got = err.Error()
			} else {
				got = fmt.Sprint(a.Addrs)
			}
			if !strings.Contains(got, want) {
				t.Errorf("%s, want %s", got, want)
			}
		}
		expect("192.0.2.1")
		write("hosts", "192.0.2.22 pbx")
		expect("192.0.2.1")
		time.Sleep(reread)
		expect("192.0.2.22")
		write("hosts", "")
		write("resolv.conf", "nameserver 192.0.2.153")
		time.Sleep(reread)
		expect("no route to 192.0.2.153:53")
		if err := os.Remove(filepath.Join(d.system.dir, "resolv.conf")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(reread)
		if got, err := d.system.config(); got.servers != nil || err != nil {
			t.Errorf("without resolv.conf: servers %v, %v", got.servers, err)
		}
	})
}

// A file that cannot be read says nothing: what is known stays, and is not taken
// for a system without resolv.conf, whose resolver knows no NAPTR records. Here a
// folder stands in its place, which can be opened, and not read.
func TestFilesUnreadable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, write := machine(t, "192.0.2.1 pbx", "nameserver 192.0.2.53")
		spoil := func(name string) {
			t.Helper()
			path := filepath.Join(d.system.dir, name)
			if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o700)); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(want string) {
			t.Helper()
			a, err := d.Lookup(t.Context(), "example.com", TypeNAPTR)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %v, want %s", a, err, want)
			}
		}
		spoil("resolv.conf")
		expect("resolv.conf: is a directory")
		if err := os.Remove(filepath.Join(d.system.dir, "resolv.conf")); err != nil {
			t.Fatal(err)
		}
		write("resolv.conf", "nameserver 192.0.2.53")
		expect("no route to 192.0.2.53:53")
		spoil("resolv.conf")
		spoil("hosts")
		time.Sleep(reread)
		expect("no route to 192.0.2.53:53")
		if a, err := d.Lookup(t.Context(), "pbx", TypeA); err != nil || len(a.Addrs) != 1 {
			t.Errorf("pbx: %v, %v, want its address", a, err)
		}
		for _, name := range []string{"resolv.conf", "hosts"} {
			if err := os.Remove(filepath.Join(d.system.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		write("resolv.conf", "nameserver 192.0.2.153")
		write("hosts", "")
		expect("no route to 192.0.2.153:53")
	})
}

// Long lines are lines. Of a file that is longer than what is read of it, the
// line that is cut is left out: half a name is another name.
func TestHostsFileLong(t *testing.T) {
	long := "0.0.0.0 " + strings.Repeat("ads.example ", 6000) + "\n192.0.2.1 pbx\n"
	line := "192.0.2.99 example.com\n"
	for cut := 0; cut < len(line); cut += 3 {
		padding := strings.Repeat("x", maxFile-len(long)-2-cut)
		d, _ := machine(t, long+"#"+padding+"\n"+line, "nameserver 192.0.2.53")
		if a, err := d.Lookup(t.Context(), "pbx", TypeA); err != nil || len(a.Addrs) != 1 {
			t.Fatalf("after a long line: %v, %v, want the address of pbx", a, err)
		}
		for i := range len("example.co") {
			if a, known := d.system.lookup("example.co"[:i+1], TypeA); known {
				t.Errorf("cut after %d bytes: %s is %v", cut, "example.co"[:i+1], a)
			}
		}
	}
}

// Where there is no resolv.conf the system's resolver is asked, which knows the
// system's names.
func TestSystemResolver(t *testing.T) {
	a, err := systemLookup(t.Context(), "localhost", TypeA)
	if err != nil || len(a.Addrs) == 0 || !a.Addrs[0].IsLoopback() {
		t.Errorf("localhost: %v, %v, want a loopback address", a, err)
	}
	if a, err := systemLookup(t.Context(), "localhost", TypeNAPTR); err != nil || a.NAPTR != nil {
		t.Errorf("NAPTR: %v, %v, want none", a, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a, err := systemLookup(ctx, "nowhere.example", TypeSRV); err == nil && len(a.SRV) > 0 {
		t.Errorf("after the end of the context: %v", a)
	}
}

// A name server on the sockets of the system, found by resolv.conf or named.
func TestDNSOnRealSockets(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	go func() { // ends with pc
		b := make([]byte, 512)
		for {
			n, from, err := pc.ReadFrom(b)
			if err != nil {
				return
			}
			b[2], b[3], b[11] = 0x81, 0x83, 0 // NXDOMAIN, without the OPT record
			pc.WriteTo(b[:n-11], from)
		}
	}()
	d := &DNS{Servers: []netip.AddrPort{pc.LocalAddr().(*net.UDPAddr).AddrPort()}}
	if a, err := d.Lookup(t.Context(), "example.com", TypeNAPTR); err != nil || a.NAPTR != nil {
		t.Errorf("%v, %v, want no records", a, err)
	}
}
