package hostname

import (
	"strings"
	"testing"
)

// All spellings of a host have one canonical form.
func TestCanonical(t *testing.T) {
	for want, spellings := range map[string][]string{
		"example.com": {"example.com", "EXAMPLE.com", "example.com.", "Example.COM.."},
		"192.0.2.20":  {"192.0.2.20", "192.0.2.20.", "[::ffff:192.0.2.20]", "::FFFF:c000:214", "[:::ffff:192.0.2.20]"},
		"2001:db8::1": {"[2001:db8::1]", "2001:DB8:0:0::1", "[2001:db8:::1]", "[2001:db8::1%25eth0]"},
		"a:b":         {"A:b"},
		"":            {"", "[]", "."},
	} {
		for _, host := range spellings {
			if got := Canonical(host); got != want {
				t.Errorf("Canonical(%q) = %q, want %q", host, got, want)
			}
		}
	}
	if n := testing.AllocsPerRun(100, func() { Canonical("sip.example.com.") }); n != 0 {
		t.Errorf("Canonical of a name takes %v allocations, want none", n)
	}
}

// What is a host, and what only begins with one.
func TestIsHost(t *testing.T) {
	for _, host := range []string{"example.com", "EXAMPLE.com.", "a_b", "localhost", "192.0.2.20", "2001:db8::1", "[2001:db8::1]", "[2001:db8:::1]", "::ffff:192.0.2.20"} {
		if !IsHost(host) {
			t.Errorf("IsHost(%q) = false, want true", host)
		}
	}
	for _, no := range []string{"", ".", "sip:example.com", "example.com:5060", "*.example.com", "ex ample", "exämple.com", "a@b", "a;lr",
		"[example.com]", "[", "]", ":", "[:]", "[192.0.2.20]", "[::1%25eth0]", "[::1]:5060", "[::1", "::1]", strings.Repeat("a", 256)} {
		if IsHost(no) {
			t.Errorf("IsHost(%q) = true, want false", no)
		}
	}
}
