package integration

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// typeCase is one type with the values that are tried, as literals of SQL without their quotes.
type typeCase struct {
	name                                string
	empty, ordinary, extremes, specials []string
	// opaque says that the type has no binary form that sluice reads: a stream with it is read as text.
	opaque bool
	// extension must be installed for the type; empty for none.
	extension string
	// delimiter separates the elements of an array; a comma when it is 0.
	delimiter byte
	// single says that no array is made of it.
	single bool
	// since is the first version of PostgreSQL that has it; 0 for all.
	since int
}

// classes are the columns of the matrix, in order; NULL is one value of its own.
func (c *typeCase) classes() [4][]string {
	return [4][]string{c.empty, c.ordinary, c.extremes, c.specials}
}

// text is how a column is compared. A cast of xml shows a declaration of version 1.0 and encoding, which
// PostgreSQL's output function and with it the log leaves out.
func (c *typeCase) text(column string) string {
	if strings.HasPrefix(c.name, "xml") {
		return "CASE num_nulls(" + column + ") WHEN 0 THEN format('%s', " + column + ") END"
	}
	return column + "::text"
}

// values gives all values, those of classes in order.
func (c *typeCase) values() []string {
	var all []string
	for _, class := range c.classes() {
		all = append(all, class...)
	}
	return all
}

// classOf tells which class the value of a row belongs to.
func (c *typeCase) classOf(row int) int {
	for i, class := range c.classes() {
		if row <= len(class) {
			return i
		}
		row -= len(class)
	}
	return 0
}

// array makes the case of the type's arrays from its values: with NULL elements, of two dimensions, and
// not beginning at 1.
func (c *typeCase) array() typeCase {
	a := typeCase{name: c.name + "[]", opaque: c.opaque, extension: c.extension, since: c.since, single: true}
	a.delimiter = c.delimiter
	items := slices.DeleteFunc(c.values(), func(v string) bool { return len(v) > 10<<10 })
	first, last := items[0], items[len(items)-1]
	a.empty = []string{"{}"}
	a.ordinary = []string{c.literal(first), c.literal(first, "\x00", last)}
	a.extremes = []string{c.literal(append(items, "\x00")...), c.literal("\x00")}
	inner := c.literal(first, "\x00")
	a.specials = []string{
		"{" + inner + c.delim() + c.literal(last, first) + "}",
		"{{" + inner + "}}",
		"[5:6]=" + inner,
		"[-1:0][2:3]={" + inner + c.delim() + c.literal("\x00", last) + "}",
	}
	return a
}

func (c *typeCase) delim() string { return string(cmp.Or(c.delimiter, ',')) }

// literal writes an array of one dimension; the text of one zero byte stands for NULL.
func (c *typeCase) literal(items ...string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(item) + `"`
		if item == "\x00" {
			quoted[i] = "NULL"
		}
	}
	return "{" + strings.Join(quoted, c.delim()) + "}"
}

// large gives n bytes that do not compress: such a value is stored out of line.
func large(n int) string {
	random := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, "%016x", random.Uint64())
	}
	return b.String()[:n]
}

// typeSetup makes the types that are a user's own: two schemas with an enum of one name, whose labels
// differ, a domain over a domain, and composites in each other.
const typeSetup = `
	CREATE SCHEMA other;
	CREATE TYPE public.mood AS ENUM ('sad', 'very happy', 'it''s, "so" so', 'ok');
	CREATE TYPE other.mood AS ENUM ('ok', 'grün', 'NULL');
	CREATE DOMAIN other.amount AS numeric(6,2) CHECK (VALUE > 0);
	CREATE DOMAIN other.price AS other.amount CHECK (VALUE < 5000);
	CREATE DOMAIN other.feeling AS other.mood;
	CREATE DOMAIN other.grid AS int4[] CHECK (array_length(VALUE, 1) < 9);
	CREATE TYPE public.pair AS (a int4, b text);
	CREATE TYPE other.nested AS (p public.pair, list int4[], m other.mood, at timestamptz, price other.price);
	CREATE DOMAIN other.couple AS public.pair;
	CREATE TYPE other.floats AS RANGE (subtype = float8)`

// extensions are tried where the server has them.
func extensions() []string {
	return []string{"citext", "hstore", "ltree", "cube", "seg", "isn", "vector", "postgis"}
}
