package avro

import (
	"strconv"

	"github.com/sluicecdc/sluice/internal/change"
)

// GroupID is the transaction.id of a group's records and the id of its END: the transaction's number
// and the commit LSN in decimal, or the word snapshot in the number's place.
func GroupID(g *change.Group) string { return string(AppendGroupID(nil, g)) }

// AppendGroupID appends GroupID.
func AppendGroupID(dst []byte, g *change.Group) []byte {
	if g.Kind == change.Snapshot {
		dst = append(dst, "snapshot"...)
	} else {
		dst = strconv.AppendUint(dst, uint64(g.XID), 10)
	}
	return strconv.AppendUint(append(dst, ':'), uint64(g.Commit), 10)
}
