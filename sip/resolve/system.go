package resolve

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// systemTTL is how long an answer is kept whose time to live the system keeps
// to itself.
const systemTTL = 30 * time.Second

// systemLookup asks the resolver of the operating system, where there is no
// resolv.conf to tell its servers. It knows no NAPTR records. Addresses are asked
// for without the final dot, with which some systems overlook their hosts file.
func systemLookup(ctx context.Context, name string, t Type) (*Answer, error) {
	a := &Answer{TTL: systemTTL}
	var err error
	switch t {
	case TypeA:
		a.Addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip4", name)
	case TypeAAAA:
		a.Addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip6", name)
	case TypeSRV:
		var records []*net.SRV
		if _, records, err = net.DefaultResolver.LookupSRV(ctx, "", "", strings.TrimSuffix(name, ".")+"."); err == nil {
			for _, r := range records {
				a.SRV = append(a.SRV, SRV{r.Priority, r.Weight, r.Port, hostOf(r.Target)})
			}
		}
	}
	var unknown *net.DNSError
	if errors.As(err, &unknown) && unknown.IsNotFound {
		return a, nil
	}
	return a, err
}
