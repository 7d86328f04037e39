package registrar

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/transaction/proxy"
)

// telDomains bounds in how many of our domains a number is looked for.
const telDomains = 8

// lookupTel returns where a request to a number goes.
func (r *Registrar) lookupTel(ctx context.Context, uri sip.URI) ([]proxy.Target, error) {
	known := false
	for _, aor := range r.telUsers(uri) {
		targets, err := r.Lookup(ctx, aor)
		if len(targets) > 0 || err != nil && !errors.Is(err, ErrNotFound) {
			return targets, err
		}
		known = known || err == nil && r.cfg.Exists != nil
	}
	if known {
		return nil, nil
	}
	return nil, fmt.Errorf("look up %s: %w", uri, ErrNotFound)
}

// telUsers returns whose a number may be: of the user of one of our domains who has
// the number for a name, "sip:+12015550123@example.com". A local number is one of its
// phone-context (RFC 3966 section 5.1.5).
func (r *Registrar) telUsers(uri sip.URI) []sip.URI {
	number, domains := telNumber(uri.User), r.cfg.Domains
	if in, ok := uri.Param("phone-context"); ok && !strings.HasPrefix(number, "+") {
		domains = nil
		if r.domains[hostKey(sip.URI{Host: in})] {
			domains = []string{in}
		}
	}
	if number == "" {
		return nil
	}
	var users []sip.URI
	for _, domain := range domains[:min(len(domains), telDomains)] {
		users = append(users, sip.URI{Scheme: "sip", Host: domain}.WithUsername(number))
	}
	return users
}

// telNumber returns a number without its visual separators (RFC 3966 section 5.1.1).
func telNumber(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.()", r) {
			return -1
		}
		return r
	}, text)
}
