package transport

import (
	"testing"
	"testing/synctest"
	"time"
)

// Messages of a WebSocket that are no more than keepalives count as messages:
// they are read no faster than Config.MaxRate, and what comes behind them waits.
func TestMaxRateOfWebSocketKeepAlives(t *testing.T) {
	for name, text := range map[string]string{"empty messages": "", "pongs": "\r\n", "pings": "\r\n\r\n"} {
		t.Run(name, func(t *testing.T) {
			play(t, nil, func(s *scene) {
				e := s.listen(&Config{Listen: []string{"ws:" + bobWS}, MaxRate: 10})
				phone := s.browse(s.alice, bobWS)
				for range 110 {
					phone.write(frameText, text)
				}
				phone.write(frameText, message(options, wsVia))
				synctest.Wait()
				if got := e.Stats().Paced; got == 0 {
					t.Error("110 of them are read at once")
				}
				s.none(e)
				s.wait(9 * time.Second)
				s.none(e)
				s.wait(3 * time.Second)
				s.one(e)
			})
		})
	}
}
