package registrar

import (
	"context"
	"testing"

	"github.com/goparley/parley/sip"
)

// RFC 3966: a number is for the user of our domains who has it for a name, however it
// is written, and a local one for that of its context.
func TestLookupOfATelURI(t *testing.T) {
	story(t, &Config{Domains: []string{"example.com", "example.net"}}, func(t *testing.T, s *scene) {
		for i, to := range []string{"sip:+12015550123@example.net", "sip:7042@example.com", "sip:7042@example.net"} {
			s.phone.to = to
			s.phone.register(200, contact(numbered(i)))
		}
		s.expectTargets("tel:+1-201-555-0123", "sip:alice@192.0.2.1:6000")
		s.expectTargets("tel:+1(201)555.0123;isub=1", "sip:alice@192.0.2.1:6000")
		s.expectTargets("tel:70-42;phone-context=example.com", "sip:alice@192.0.2.1:6001")
		s.expectTargets("tel:7042;phone-context=Example.NET", "sip:alice@192.0.2.1:6002")
		s.expectNone("tel:7042;phone-context=example.org")
		s.expectNone("tel:7042;phone-context=+1")
		s.expectNone("tel:+1-201-555-0124")
	})
	// Who exists and is not registered is found, as other users are.
	exists := func(_ context.Context, aor sip.URI) (bool, error) { return aor.User == "+12015550123", nil }
	story(t, &Config{Exists: exists}, func(t *testing.T, s *scene) {
		s.expectTargets("tel:+1-201-555-0123")
		s.expectNone("tel:+1-201-555-0124")
	})
	story(t, nil, func(t *testing.T, s *scene) {
		s.location = must(New(nil))
		s.expectNone("tel:+1-201-555-0123") // no domain to look in
	})
}
