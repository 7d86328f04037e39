package resolve

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// reread is how long the files of the system are taken to be as they were.
const reread = 5 * time.Second

// files is what the system's files say: resolv.conf and hosts. The zero value
// reads those in /etc, when something is asked.
type files struct {
	dir string // "": /etc

	mu         sync.Mutex
	looked     time.Time // when it was last looked whether they have changed
	confStamp  stamp
	hostsStamp stamp
	conf       config
	hosts      map[string][]netip.Addr
}

// config is whom to ask. No servers at all says that the system has no
// resolv.conf.
type config struct {
	servers  []netip.AddrPort
	timeout  time.Duration
	attempts int
}

// stamp tells whether a file has changed.
type stamp struct {
	modified time.Time
	size     int64
}

// config returns what resolv.conf says.
func (f *files) config() config {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	return f.conf
}

// lookup returns the addresses of a name of one family, and whether the name
// stands in the hosts file. There it has no SRV records and no NAPTR records,
// which also go by names below it.
func (f *files) lookup(name string, t Type) ([]netip.Addr, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refresh()
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for t == TypeSRV && strings.HasPrefix(name, "_") {
		_, name, _ = strings.Cut(name, ".")
	}
	all, known := f.hosts[name]
	var addrs []netip.Addr
	for _, addr := range all {
		if t == TypeA && addr.Is4() || t == TypeAAAA && addr.Is6() {
			addrs = append(addrs, addr)
		}
	}
	return addrs, known
}

// refresh reads what has changed. f.mu is held.
func (f *files) refresh() {
	if time.Since(f.looked) < reread {
		return
	}
	f.looked = time.Now()
	dir := f.dir
	if dir == "" {
		dir = "/etc"
	}
	if b, ok := f.confStamp.changed(filepath.Join(dir, "resolv.conf")); ok {
		f.conf = parseResolvConf(b)
	}
	if b, ok := f.hostsStamp.changed(filepath.Join(dir, "hosts")); ok {
		f.hosts = parseHosts(b)
	}
}

// changed returns what is in a file if it is another than before: nil if there
// is no such file any more.
func (s *stamp) changed(path string) ([]byte, bool) {
	const atMost = 1 << 20 // some block a long list of names by their hosts file; more is none
	was := *s
	*s = stamp{}
	f, err := os.Open(path)
	if err != nil {
		return nil, was != *s
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil {
		*s = stamp{info.ModTime(), info.Size()}
	}
	if *s == was {
		return nil, false
	}
	b, err := io.ReadAll(io.LimitReader(f, atMost))
	if err != nil {
		*s = stamp{}
	}
	return append([]byte{}, b...), true
}

// parseResolvConf reads resolv.conf as its manual page has it. Names are
// complete in SIP, so that search lists have no part in it.
func parseResolvConf(b []byte) config {
	c := config{timeout: timeout, attempts: attempts}
	if b == nil {
		return c
	}
	for fields := range lines(b) {
		switch fields[0] {
		case "nameserver":
			if addr, err := netip.ParseAddr(append(fields, "")[1]); err == nil && len(c.servers) < 3 {
				c.servers = append(c.servers, netip.AddrPortFrom(addr.Unmap(), 53))
			}
		case "options":
			for _, option := range fields[1:] {
				what, number, _ := strings.Cut(option, ":")
				switch n, err := strconv.Atoi(number); {
				case err != nil:
				case what == "timeout":
					c.timeout = time.Duration(min(max(n, 1), 30)) * time.Second
				case what == "attempts":
					c.attempts = min(max(n, 1), 5)
				}
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 53)}
	}
	return c
}

// parseHosts reads a hosts file: on each line an address and its names.
func parseHosts(b []byte) map[string][]netip.Addr {
	hosts := make(map[string][]netip.Addr)
	for fields := range lines(b) {
		addr, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			hosts[name] = append(hosts[name], addr.Unmap())
		}
	}
	return hosts
}

// lines yields the fields of each line that has some, without comments.
func lines(b []byte) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			text := s.Text()
			if i := strings.IndexAny(text, "#;"); i >= 0 {
				text = text[:i]
			}
			if fields := strings.Fields(text); len(fields) > 0 && !yield(fields) {
				return
			}
		}
	}
}
