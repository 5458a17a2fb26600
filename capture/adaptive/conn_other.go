//go:build !linux

// Package adaptive is, where sockets cannot be told to gather, an ordinary connection.
package adaptive

import "net"

// Conn is an ordinary connection.
type Conn struct{ net.Conn }

// Wrap gives the connection itself.
func Wrap(conn net.Conn) net.Conn { return conn }

// Enable does nothing.
func (a *Conn) Enable() {}

// Buffered is never so.
func (a *Conn) Buffered() bool { return false }

// Passed does nothing.
func (a *Conn) Passed(messages, bytes int) {}
