package transport

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// canReusePorts says that several UDP sockets can share a port, and that the
// system spreads what arrives over them by where it comes from.
const canReusePorts = true

// reusePort is a net.ListenConfig.Control.
func reusePort(_, _ string, c syscall.RawConn) error {
	var failed error
	err := c.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	})
	if err != nil {
		return err
	}
	return failed
}
