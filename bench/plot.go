package main

import (
	"fmt"
	"html"
	"strings"
)

// Sizes of the plot, in pixels.
const (
	plotWidth = 960
	barLeft   = 330
	barWidth  = 420
	barHigh   = 16
	lineHigh  = 22
)

// plot draws the rates of every drained workload as bars, each on its workload's scale, with least and most as a line.
func plot(r *report) string {
	var b strings.Builder
	y := 30
	text := func(x int, weight, s string) {
		fmt.Fprintf(&b, `<text x="%d" y="%d" font-weight="%s">%s</text>`+"\n", x, y+barHigh-4, weight, html.EscapeString(s))
	}
	text(10, "normal", r.Machine)
	y += lineHigh
	for _, res := range r.Results {
		if res.Rows == 0 {
			continue
		}
		y += lineHigh / 2
		text(10, "bold", fmt.Sprintf("%s: %s, rows/s", res.Workload, res.Title))
		y += lineHigh
		var most float64
		for _, s := range res.Runs {
			most = max(most, res.rate(s.Samples).most)
		}
		for _, s := range res.Runs {
			rate := res.rate(s.Samples)
			x := func(v float64) int { return barLeft + int(v/most*barWidth) }
			text(20, "normal", s.Contender)
			fill := "#9aa7b4"
			if strings.HasPrefix(s.Contender, "sluice") {
				fill = "#1f77b4"
			}
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="%d" fill="%s"/>`+"\n", barLeft, y, x(rate.median)-barLeft, barHigh, fill)
			fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%d" y2="%d" stroke="black"/>`+"\n", x(rate.least), x(rate.most), y+barHigh/2, y+barHigh/2)
			text(barLeft+barWidth+12, "normal", fmt.Sprintf("%.0f", rate.median))
			y += lineHigh
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="13">`+"\n"+
		`<rect width="100%%" height="100%%" fill="white"/>`+"\n%s</svg>\n", plotWidth, y+lineHigh, b.String())
}
