package registrar

import (
	"strings"
	"testing"
	"time"
)

// New says what is wrong with its options: none is bent in silence.
func TestOptionsThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		want string // of the error; "" for none
		cfg  Config
	}{
		{"", Config{}},
		{"", Config{Users: secrets(t), Domains: []string{"example.com", "192.0.2.10", "[2001:db8::1]", "localhost", "example.com."}}},
		{"Users without Domains", Config{Users: secrets(t)}},
		{"Users without Domains", Config{Users: secrets(t), Domains: []string{}}},
		{"is no host", Config{Domains: []string{"example.com", ""}}},
		{"is no host", Config{Domains: []string{"sip:example.com"}}},
		{"is no host", Config{Domains: []string{"alice@example.com"}}},
		{"is no host", Config{Domains: []string{"example.com:5060"}}},
		{"is no host", Config{Domains: []string{"example.com;lr"}}},
		{"is no host", Config{Domains: []string{"2001:db8::1"}}},
		{"MinExpires 10m0s is more than MaxExpires 5m0s", Config{MinExpires: 10 * time.Minute, MaxExpires: 5 * time.Minute}},
		{"MinExpires 10m0s is more than DefaultExpires 5m0s", Config{MinExpires: 10 * time.Minute, DefaultExpires: 5 * time.Minute}},
		{"negative", Config{MaxExpires: -1}},
		{"", Config{MaxExpires: 30 * time.Second}},
		{"", Config{MinExpires: 2 * time.Hour}},
		{"", Config{MaxBindings: 100}},
		{"MaxBindings is 101", Config{MaxBindings: 101}},
		{"MaxBindings is -1", Config{MaxBindings: -1}},
	} {
		location, err := New(&c.cfg)
		switch {
		case c.want == "" && (err != nil || location == nil):
			t.Errorf("New(%+v) = %v, %v", c.cfg, location, err)
		case c.want != "" && (err == nil || location != nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("New(%+v) = %v, %v, want nil and an error with %q", c.cfg, location, err, c.want)
		}
	}
}
