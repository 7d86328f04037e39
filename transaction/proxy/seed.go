package proxy

import "encoding/binary"

// seed returns what the branch of a request that is forwarded is made of: the same
// for the same request in the same fork to the same place, as long as the key lasts.
//
// So the branches of a server transaction need no snapshot. When it is restored, its
// handler forwards the request once more, and whoever has it takes that for a
// retransmission, says again what it has said last, and what it says from then on
// has somewhere to go, as has the CANCEL of the client. A request of which there is
// no snapshot has the same branches when it is retransmitted.
//
// It is "", for something random, with a key that does not last.
func (s *Server) seed(fork int, t *Target) string {
	if len(s.p.tc.FlowKey) == 0 {
		return ""
	}
	var room [512]byte
	req := s.Request()
	via := req.Via()
	branch := via.Branch()
	b := s.p.key.hash(room[:0])
	b = lower(field(b, via.Host), len(via.Host))
	b = binary.BigEndian.AppendUint32(b, uint32(via.Port))
	b = lower(field(b, branch), len(branch))
	b = field(b, string(req.Method()))
	b = append(b, s.mark[:]...)
	b = binary.BigEndian.AppendUint32(b, uint32(fork))
	b = field(b, t.URI.String())
	for _, route := range t.Route {
		b = field(b, route.URI.String())
	}
	var digits [32]byte
	return string(sum(digits[:0], append(b, 'f'), len(digits)/2))
}
