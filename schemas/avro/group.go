package avro

import (
	"strconv"
	"strings"

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

// ParseGroupID gives the transaction of an id that GroupID made; false for a snapshot's.
func ParseGroupID(id string) (g change.Group, ok bool) {
	xid, commit, _ := strings.Cut(id, ":")
	x, err1 := strconv.ParseUint(xid, 10, 32)
	c, err2 := strconv.ParseUint(commit, 10, 64)
	return change.Group{XID: uint32(x), Commit: change.LSN(c)}, err1 == nil && err2 == nil
}
