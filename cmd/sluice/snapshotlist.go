package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/sluicecdc/sluice/capture"
)

// printCopies shows copies for people, one a line.
func printCopies(w io.Writer, all []capture.CopyStatus) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "COPY\tTABLE\tSTATE\tROWS\tSIZE\tRATE\tLEFT\t")
	for i := range all {
		printCopy(t, &all[i])
	}
	return t.Flush()
}

func printCopy(t io.Writer, s *capture.CopyStatus) {
	fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, s.Table, s.State, rowsOf(s), bytesText(s.Bytes), rateOf(s), leftOf(s), s.Reason)
}

// rowsOf gives the rows that are copied of those that there may be.
func rowsOf(s *capture.CopyStatus) string {
	if s.Ended != nil || s.Chunks == 0 {
		return fmt.Sprint(s.Rows)
	}
	return fmt.Sprintf("%d of about %d (%d%%)", s.Rows, max(s.Rows, s.EstimatedRows), 100*s.ChunksDone/s.Chunks)
}

func rateOf(s *capture.CopyStatus) string {
	if s.RowsPerSecond == 0 {
		return ""
	}
	return fmt.Sprintf("%.0f rows/s", s.RowsPerSecond)
}

func leftOf(s *capture.CopyStatus) string {
	if s.SecondsLeft == nil {
		return ""
	}
	return time.Duration(*s.SecondsLeft * float64(time.Second)).Round(time.Second).String()
}
