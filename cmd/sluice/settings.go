package main

import (
	"fmt"

	"github.com/goccy/go-yaml"
)

type configCmd struct {
	JSON bool `name:"json" help:"As JSON."`
}

// Help is shown by "sluice config --help".
func (configCmd) Help() string {
	return "Every setting with the value that holds, defaults included and variables expanded. Secrets are shown as ***."
}

// Run prints the effective configuration.
func (c *configCmd) Run(a *app) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	text, err := cfg.YAML()
	if err != nil {
		return err
	}
	if c.JSON {
		if text, err = yaml.YAMLToJSON(text); err != nil {
			return fmt.Errorf("cannot write the settings as JSON: %w", err)
		}
	}
	_, err = a.out.Write(text)
	return err
}
