//go:build !linux

package capture

import "net"

// adaptiveConn is an ordinary connection where sockets cannot be told to gather.
type adaptiveConn struct{ net.Conn }

func newAdaptive(conn net.Conn) net.Conn { return conn }

func (a *adaptiveConn) enable()        {}
func (a *adaptiveConn) buffered() bool { return false }
