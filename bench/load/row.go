package load

import (
	"fmt"
	"strings"
)

// ids is how many ids writers use in a table, or in a hundred of a partitioned one.
const ids = 80

// changeOrWrite draws a statement on rows, which fails now and then: a row gets an id that may be taken.
func (s *session) changeOrWrite(m *model) string {
	if !s.chance(5) {
		return s.write(m)
	}
	r := pick(s, m.relations)
	return s.where(fmt.Sprintf("update %s set %s = %d", r.name, r.id(), s.idOf(r)), r, 0)
}

// write draws a statement on rows.
func (s *session) write(m *model) string {
	r := pick(s, m.relations)
	switch s.random.IntN(20) {
	case 0:
		return s.where("delete from "+r.name, r, 3)
	case 1, 2:
		return s.where("delete from "+r.name, r, 0)
	case 3, 4, 5, 6, 7, 8, 9:
		return s.insertRow(r, m, s.idOf(r), s.random.Int64N(1<<40))
	}
	return s.updateRow(r, m)
}

func (s *session) idOf(r *relation) int {
	id := s.random.IntN(ids)
	if r.partitioned() {
		id += pick(s, r.parts).hundred * 100
	}
	return id
}

// where limits a statement to an id, and some after it.
func (s *session) where(statement string, r *relation, more int) string {
	id := s.idOf(r)
	return fmt.Sprintf("%s where %s between %d and %d", statement, r.id(), id, id+more)
}

func (s *session) insertRow(r *relation, m *model, id int, ref int64) string {
	var names, values []string
	for i, f := range r.fields {
		names = append(names, f.name)
		switch i {
		case 0:
			values = append(values, fmt.Sprint(id))
		case 1:
			values = append(values, fmt.Sprint(ref))
		default:
			values = append(values, s.value(f.typ, m.labels))
		}
	}
	return "insert into " + r.name + " (" + strings.Join(names, ", ") + ") values (" + strings.Join(values, ", ") + ") on conflict do nothing"
}

// updateRow changes some columns, so that long values mostly stay and do not travel.
func (s *session) updateRow(r *relation, m *model) string {
	var sets []string
	for _, i := range r.others() {
		f := r.fields[i]
		if s.chance(40) && (f.typ != long || s.chance(20)) {
			sets = append(sets, f.name+" = "+s.value(f.typ, m.labels))
		}
	}
	if len(sets) == 0 {
		sets = []string{fmt.Sprintf("%s = %d", r.ref(), s.random.Int64N(1<<40))}
		return s.where("update "+r.name+" set "+sets[0], r, 0)
	}
	return s.where("update "+r.name+" set "+strings.Join(sets, ", "), r, s.random.IntN(6))
}
