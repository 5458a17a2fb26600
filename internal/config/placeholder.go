package config

import (
	"errors"
	"strings"
)

type sourceSection struct {
	Name   string   `yaml:"name"`
	DSN    string   `yaml:"dsn"`
	Tables []string `yaml:"tables"`
	Slot   string   `yaml:"slot"`
	OnGap  string   `yaml:"on_gap"`
}

func (s sourceSection) Validate() error {
	if s.Name == "" {
		return errors.New("name is missing: it begins every topic's name, such as crm")
	}
	return nil
}

type kafkaSection struct {
	Brokers    brokers `yaml:"brokers"`
	Partitions int     `yaml:"partitions"`
	SASL       struct {
		Password string `yaml:"password"`
	} `yaml:"sasl"`
}

type brokers []string

func (b *brokers) UnmarshalYAML(f func(any) error) error {
	var word string
	if f(&word) == nil {
		*b = brokers{word}
		return nil
	}
	return f((*[]string)(b))
}

func (kafkaSection) Validate() error { return nil }

type schemasSection struct {
	Registry string `yaml:"registry"`
	Password string `yaml:"password"`
}

func (schemasSection) Validate() error { return nil }

type sinkSection struct {
	Type   string      `yaml:"type"`
	DSN    string      `yaml:"dsn"`
	Create bool        `yaml:"create"`
	Tables []sinkTable `yaml:"tables"`
}
type sinkTable struct {
	From    string `yaml:"from"`
	Deletes string `yaml:"deletes"`
}

func (s sinkSection) Validate() error {
	if !strings.Contains("postgres", s.Type) {
		return errors.New("type: unknown")
	}
	return nil
}

type consoleSection struct {
	Listen     string `yaml:"listen"`
	SinkListen string `yaml:"sink_listen"`
}

func (consoleSection) Validate() error { return nil }
