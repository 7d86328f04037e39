package rig

import (
	"github.com/goparley/parley/sip"
	"github.com/goparley/parley/sip/transport"
	"github.com/goparley/parley/transaction"
)

// Session is what servers answer an INVITE with that negotiate nothing.
const Session = "v=0\r\no=bob 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 34506 RTP/AVP 0\r\n"

// Transaction is a server on package transaction, the smallest that a user would write.
func Transaction(addr string) error {
	uri, err := sip.ParseURI("sip:uas@" + addr)
	if err != nil {
		return err
	}
	contact, body := sip.Contact{URI: uri}, sip.Body{Type: "application/sdp", Content: Session}
	_, err = transaction.Listen(ServerConfig(addr), &transaction.Config{
		MaxBytes: 4 << 30, // 32 s of transactions at the highest rates
		Handler: func(tx *transaction.Server, req *sip.Request) {
			switch req.Method() {
			case sip.INVITE:
				tx.Reply(sip.StatusRinging, contact)
				tx.Reply(sip.StatusOK, contact, body)
			case sip.ACK:
			default:
				tx.Reply(sip.StatusOK)
			}
		},
	})
	return err
}

// ServerConfig is that of a server of ours under load.
func ServerConfig(addr string) *transport.Config {
	return &transport.Config{
		Listen:  []string{"udp:" + addr},
		MaxRate: 1e9, // the load has one source; the limit is looked at all the same
	}
}
