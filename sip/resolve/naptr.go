package resolve

import (
	"slices"
	"strings"
)

// byNAPTR follows the NAPTR records of a domain. Those of the first order that
// has one for a transport which fits are the choice; later ones are not looked
// at, even if nothing answers there (RFC 3403 section 4.1). So a domain that
// puts TLS first is not talked down to TCP by who can stop TLS.
func (s *search) byNAPTR(fit []*transport, records []NAPTR) ([]Target, error) {
	var services []service
	var order uint16
	for _, r := range records { // by order, then by preference
		if len(services) > 0 && r.Order != order || len(services) == maxHosts {
			break
		}
		// With a sips URI only transports that are secure fit, and so only
		// services that begin with SIPS.
		i := slices.IndexFunc(fit, func(tr *transport) bool { return strings.EqualFold(tr.naptr, r.Service) })
		if i < 0 || !isName(r.Replacement) {
			continue
		}
		to := service{tr: fit[i], domain: strings.TrimSuffix(r.Replacement, ".")}
		switch {
		case strings.EqualFold(r.Flags, "a"):
			to.isHost = true
		case !strings.EqualFold(r.Flags, "s"):
			continue
		case len(to.domain) > len(to.tr.service) && strings.EqualFold(to.domain[:len(to.tr.service)], to.tr.service):
			to.prefix, to.domain = to.tr.service, to.domain[len(to.tr.service):] // as it is asked for without NAPTR
		}
		order = r.Order
		services = append(services, to)
	}
	places, _, err := s.srv(services)
	return s.at(places, err)
}
