package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/sluicecdc/sluice/internal/config"
)

// checkEncryption warns of connections beyond this machine that somebody on the way could read or answer. What can be
// told from the configuration is told; nobody is asked.
func checkEncryption(cfg *config.Config) (all []finding) {
	warn := func(part, what, fix string) {
		all = append(all, finding{Part: part, Verdict: verdictWarning, What: what, Fix: fix})
	}
	dsn := func(part, key, text string) {
		if host := unverified(text); host != "" {
			warn(part, "the connection to "+host+" is not encrypted with a verified certificate",
				key+": add sslmode=verify-full and sslrootcert=FILE (the certificate of the authority that signed the server's)")
		}
	}
	dsn("source", "source.dsn", cfg.Source.DSN)
	for _, broker := range cfg.Kafka.Brokers {
		if !cfg.Kafka.TLS.Enabled && !cfg.Kafka.Brokers.Embedded() && beyond(broker) {
			warn("kafka", "the connection to "+broker+" is not encrypted", "set kafka.tls.enabled: true, with kafka.tls.ca where the system does not know the authority")
			break
		}
	}
	if u, err := url.Parse(cfg.Schemas.URL()); err == nil && u.Scheme == "http" && beyond(u.Host) {
		warn("registry", "the connection to "+u.Host+" is not encrypted", "give an https URL in schemas.registry, with schemas.tls.ca where the system does not know the authority")
	}
	for _, name := range sinkNames(cfg) {
		if s := cfg.Sinks[name]; s.Type == config.TypeHTTP {
			if u, err := url.Parse(s.HTTP.URL); err == nil && u.Scheme == "http" && beyond(u.Host) {
				warn("sink "+name, "the connection to "+u.Host+" is not encrypted", "give an https URL in sinks."+name+".url, with tls.ca where the system does not know the authority")
			}
			continue
		}
		dsn("sink "+name, fmt.Sprintf("sinks.%s.dsn", name), cfg.Sinks[name].Postgres.DSN)
	}
	return all
}

// unverified gives a host of a DSN beyond this machine that may be talked to without verified encryption, if any.
func unverified(dsn string) string {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return "" // told elsewhere
	}
	if beyond(cfg.Host) && (cfg.TLSConfig == nil || cfg.TLSConfig.InsecureSkipVerify) {
		return cfg.Host
	}
	for _, f := range cfg.Fallbacks {
		if beyond(f.Host) && (f.TLSConfig == nil || f.TLSConfig.InsecureSkipVerify) {
			return f.Host
		}
	}
	return ""
}

// beyond tells whether an address, with or without port, is not on this machine.
func beyond(address string) bool {
	host := address
	if h, _, err := net.SplitHostPort(address); err == nil {
		host = h
	}
	if host == "localhost" || strings.HasPrefix(host, "/") || host == "" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}
