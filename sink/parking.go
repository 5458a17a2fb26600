package sink

import (
	"fmt"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
)

// Defaults of parking. More than a thousand rows a minute, and more than one in a hundred, are no odd rows: the
// destination itself is not as it should be.
const (
	DefaultParkingRows  = 1000
	DefaultParkingShare = 0.01
)

const (
	// parkingWindow is the time, of commits at the source, that the limits are about.
	parkingWindow = time.Minute
	// maxParked bounds all that is parked, and so the memory for it: about 200 bytes each.
	maxParked = 100_000
)

const parkingChoices = "off, or limits that are both exceeded before the sink stops instead, for example {rows: 1000, share: 1%}"

// Parking is the key "parking" of a sink: off, or {rows: 1000, share: 1%}, of the changes of a minute.
type Parking struct {
	Off   bool
	Rows  int64
	Share float64 // 0 to 1
}

// orDefault fills in what was left out.
func (p *Parking) orDefault() *Parking {
	if p == nil {
		return &Parking{Rows: DefaultParkingRows, Share: DefaultParkingShare}
	}
	return p
}

// String gives the form of the configuration.
func (p *Parking) String() string {
	if p.Off {
		return "off"
	}
	return fmt.Sprintf("{rows: %d, share: %s}", p.Rows, percent(p.Share))
}

// UnmarshalYAML reads the two forms. Its errors carry their place in the file.
func (p *Parking) UnmarshalYAML(n ast.Node) error {
	*p = Parking{Rows: DefaultParkingRows, Share: DefaultParkingShare}
	return offOrLimits(n, "parking is "+parkingChoices, &p.Off, p.set)
}

func (p *Parking) set(k *ast.MappingValueNode) (err error) {
	text := k.Value.GetToken().Value
	switch key := keyText(k); key {
	case "rows":
		p.Rows, err = rowLimit(k)
		return err
	case "share":
		share, ok := parsePercent(text)
		if !ok {
			return badNode(k.Value, fmt.Sprintf("share is %q: want a percentage of the changes of a minute from 0%% to 100%%, for example 1%%", text))
		}
		p.Share = share
	default:
		return badNode(k, fmt.Sprintf("unknown key %q: parking is %s", key, parkingChoices))
	}
	return nil
}

// MarshalYAML writes the form that UnmarshalYAML reads.
func (p Parking) MarshalYAML() (any, error) {
	if p.Off {
		return "off", nil
	}
	return yaml.MapSlice{{Key: "rows", Value: p.Rows}, {Key: "share", Value: percent(p.Share)}}, nil
}
