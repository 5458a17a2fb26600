package http

import (
	"bytes"
	"fmt"

	"github.com/sluicecdc/sluice/internal/change"
)

// appendArray writes PostgreSQL's text of an array (manual, 8.15.6) as JSON, dimension in dimension. Bounds that are
// not 1 have no like there and are left out.
func appendArray(dst []byte, elem *change.Type, s []byte) ([]byte, error) {
	if elem == nil {
		elem = &change.Type{Kind: change.TextLike}
	}
	if len(s) > 0 && s[0] == '[' {
		_, s, _ = bytes.Cut(s, []byte("="))
	}
	a := arrayText{elem: elem, rest: s}
	out, err := a.array(dst, 0)
	if err == nil && len(a.rest) > 0 {
		err = a.fault()
	}
	return out, err
}

// maxDimensions is PostgreSQL's own limit (MAXDIM).
const maxDimensions = 6

type arrayText struct {
	elem *change.Type
	rest []byte
}

func (a *arrayText) fault() error { return fmt.Errorf("it is not an array: %.40q is left", a.rest) }

func (a *arrayText) next(c byte) bool {
	if len(a.rest) == 0 || a.rest[0] != c {
		return false
	}
	a.rest = a.rest[1:]
	return true
}

func (a *arrayText) array(dst []byte, depth int) ([]byte, error) {
	if depth == maxDimensions || !a.next('{') {
		return dst, a.fault()
	}
	dst = append(dst, '[')
	if a.next('}') {
		return append(dst, ']'), nil
	}
	for {
		var err error
		if len(a.rest) > 0 && a.rest[0] == '{' {
			dst, err = a.array(dst, depth+1)
		} else {
			dst, err = a.item(dst)
		}
		switch {
		case err != nil:
			return dst, err
		case a.next('}'):
			return append(dst, ']'), nil
		case !a.next(',') && !a.next(';'): // ; between boxes
			return dst, a.fault()
		}
		dst = append(dst, ',')
	}
}

func (a *arrayText) item(dst []byte) ([]byte, error) {
	if a.next('"') {
		var text []byte
		for !a.next('"') {
			a.next('\\')
			if len(a.rest) == 0 {
				return dst, a.fault()
			}
			text, a.rest = append(text, a.rest[0]), a.rest[1:]
		}
		return appendText(dst, a.elem, text)
	}
	end := bytes.IndexAny(a.rest, ",;}")
	if end <= 0 {
		return dst, a.fault()
	}
	var text []byte
	text, a.rest = a.rest[:end], a.rest[end:]
	if bytes.EqualFold(text, []byte("NULL")) {
		return append(dst, "null"...), nil
	}
	return appendText(dst, a.elem, text)
}
