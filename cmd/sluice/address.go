package main

import (
	"errors"
	"net"
	"net/url"
	"syscall"
)

// reachable gives the address at which a listener is reached from its own machine.
func reachable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// reason gives the cause of a failed request without the parts of it that the reader knows.
func reason(err error) error {
	if errors.Is(err, syscall.ECONNREFUSED) {
		return errors.New("nobody listens there")
	}
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
