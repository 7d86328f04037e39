package relay_test

import (
	"strings"
	"testing"
	"time"

	"github.com/goparley/parley/msrp/relay"
)

// A relay does not start with what it could not keep to, and says which option that is.
func TestConfigIsRefused(t *testing.T) {
	for want, cfg := range map[string]relay.Config{
		"Domain":                  {},
		"Password":                {Domain: "example.com"},
		"1.2.3.4:5":               {Domain: "example.com", Host: "1.2.3.4:5"},
		"relay.example.com:2855":  {Domain: "example.com", Host: "relay.example.com:2855"},
		"alice@relay.example.com": {Domain: "example.com", Host: "alice@relay.example.com"},
		"relay.example.com/ws":    {Domain: "example.com", Host: "relay.example.com/ws"},
		"of ours":                 {Domain: "of ours"}, // which is the host as well
		"fe80::1%eth0":            {Domain: "example.com", Host: "fe80::1%eth0"},
		"MaxChunk (-5)":           {Domain: "example.com", MaxChunk: -5},
		"MinExpires of -1s":       {Domain: "example.com", MinExpires: -time.Second},
		"MaxExpires, -1s":         {Domain: "example.com", MaxExpires: -time.Second},
		"MinExpires of 1h0m1s":    {Domain: "example.com", MinExpires: time.Hour + time.Second},
		"MaxExpires, 59s":         {Domain: "example.com", MaxExpires: 59 * time.Second}, // and less than a minute is too brief
		"MaxConns (-1)":           {Domain: "example.com", MaxConns: -1},
		"MaxURIs (-1)":            {Domain: "example.com", MaxURIs: -1},
	} {
		if want != "Password" {
			cfg.Password = relay.Passwords(users)
		}
		r, err := relay.New(&cfg)
		if err == nil {
			r.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New(%+v) = %v, want an error that names %q", cfg, err, want)
		}
	}
	for _, host := range []string{"", "relay.example.com", "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "localhost"} {
		r, err := relay.New(&relay.Config{Domain: "example.com", Host: host, Password: relay.Passwords(users)})
		if err != nil {
			t.Errorf("Host %q: %v", host, err)
			continue
		}
		r.Close()
	}
	// A realm need not be a name, if the host is one.
	r, err := relay.New(&relay.Config{Domain: "Relay of ours", Host: "relay.example.com", Password: relay.Passwords(users)})
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
}
