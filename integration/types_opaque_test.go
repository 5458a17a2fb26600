package integration

// opaqueTypes are those that are read as their own text.
func opaqueTypes() []typeCase {
	all := append(append(geometricTypes(), rangeTypes()...), append(searchTypes(), extensionTypes()...)...)
	for i := range all {
		all[i].opaque = true
	}
	return all
}

func geometricTypes() []typeCase {
	return []typeCase{
		{name: "money", ordinary: []string{"1234.56", "-0.01"}, extremes: []string{"-92233720368547758.08", "92233720368547758.07"}},
		{name: "point", ordinary: []string{"(1.5,-2)"}, extremes: []string{"(1e300,5e-324)"}, specials: []string{"(NaN,Infinity)"}},
		{name: "line", ordinary: []string{"{1,2,3}"}},
		{name: "lseg", ordinary: []string{"[(0,0),(1.1,2)]"}},
		{name: "box", ordinary: []string{"(3,4),(1,2)"}, delimiter: ';'},
		{name: "path", ordinary: []string{"((0,0),(1,1))", "[(0,0),(1,1)]"}},
		{name: "polygon", ordinary: []string{"((0,0),(1,1),(2,0))"}},
		{name: "circle", ordinary: []string{"<(1,2),3>"}},
	}
}

func rangeTypes() []typeCase {
	return []typeCase{
		{name: "int4range", empty: []string{"empty"}, ordinary: []string{"[1,5)"}, extremes: []string{"(,)", "[-2147483648,)"}},
		{name: "int8range", empty: []string{"empty"}, ordinary: []string{"[1,5)"}, extremes: []string{"(,9223372036854775807)"}},
		{name: "numrange", empty: []string{"empty"}, ordinary: []string{"(1.50,2.5]"}, specials: []string{"[-Infinity,NaN]"}},
		{name: "tsrange", empty: []string{"empty"}, ordinary: []string{"[2026-01-01 00:00:00,2026-01-02 00:00:00.5]"}, specials: []string{"[-infinity,infinity)"}},
		{name: "tstzrange", empty: []string{"empty"}, ordinary: []string{"[2026-01-01 00:00:00+00,)"}, specials: []string{"[-infinity,infinity)"}},
		{name: "daterange", empty: []string{"empty"}, ordinary: []string{"[2026-01-01,2026-01-05)"}, extremes: []string{"[0044-03-15 BC,)"}},
		{name: "int4multirange", empty: []string{"{}"}, ordinary: []string{"{[1,2),[5,9)}"}},
		{name: "int8multirange", empty: []string{"{}"}, ordinary: []string{"{[1,2),[5,9)}"}},
		{name: "nummultirange", empty: []string{"{}"}, ordinary: []string{"{[1.5,2),[5,9]}"}},
		{name: "tsmultirange", empty: []string{"{}"}, ordinary: []string{"{[2026-01-01 00:00:00,2026-01-02 00:00:00)}"}},
		{name: "tstzmultirange", empty: []string{"{}"}, ordinary: []string{"{[2026-01-01 00:00:00+00,)}"}},
		{name: "datemultirange", empty: []string{"{}"}, ordinary: []string{"{[2026-01-01,2026-01-05),[2027-01-01,)}"}},
		{name: "other.floats", empty: []string{"empty"}, ordinary: []string{"[1.5,2.5)"}},
		{name: "other.floats_multirange", empty: []string{"{}"}, ordinary: []string{"{[1.5,2.5)}"}, single: true},
	}
}

func searchTypes() []typeCase {
	return []typeCase{
		{name: "tsvector", empty: []string{""}, ordinary: []string{"'a b':1A 'it''s':2,3"}},
		{name: "tsquery", empty: []string{""}, ordinary: []string{"'a' & !( 'b' | 'c':*A )"}},
		{name: "jsonpath", ordinary: []string{`strict $."a"[*]?(@."b" > 1.5)`}},
		{name: "tid", ordinary: []string{"(0,1)"}, extremes: []string{"(4294967295,65535)"}},
		{name: "xid", ordinary: []string{"3"}, extremes: []string{"4294967295"}},
		{name: "cid", ordinary: []string{"3"}},
		{name: "xid8", ordinary: []string{"3"}, extremes: []string{"18446744073709551615"}},
		{name: "pg_snapshot", ordinary: []string{"10:20:10,14,15"}},
		{name: "txid_snapshot", ordinary: []string{"10:20:10,14,15"}},
		{name: "regclass", ordinary: []string{"pg_class", "information_schema.tables"}},
		{name: "regtype", ordinary: []string{"integer", `timestamp with time zone`}},
		{name: "int2vector", empty: []string{""}, ordinary: []string{"1 2 3"}, single: true},
		{name: "public.pair", empty: []string{"(,)"}, ordinary: []string{`(1,"a ""b"" \\ (c), d")`, `(,"")`}},
		{name: "other.nested", empty: []string{"(,,,,)"}, ordinary: []string{`("(1,""a b"")","{1,NULL}",NULL,"2026-01-02 03:04:05+00",1.50)`}},
		{name: "other.couple", ordinary: []string{"(2,x)"}},
	}
}

// extensionTypes are of Debian's packages; the test says which of them are not installed.
func extensionTypes() []typeCase {
	return []typeCase{
		{name: "hstore", extension: "hstore", empty: []string{""}, ordinary: []string{`"a"=>"1", "b c"=>NULL, "d\""=>"\\"`}},
		{name: "ltree", extension: "ltree", empty: []string{""}, ordinary: []string{"Top.Science.Astronomy"}},
		{name: "lquery", extension: "ltree", ordinary: []string{"Top.*{0,2}.sport*@|x"}},
		{name: "cube", extension: "cube", ordinary: []string{"(1, 2, 3)", "(0, 0),(1, 1)"}},
		{name: "seg", extension: "seg", ordinary: []string{"1.50 .. 2", "~3.0"}},
		{name: "isbn13", extension: "isn", ordinary: []string{"978-0-393-04002-9"}},
		{name: "vector(3)", extension: "vector", ordinary: []string{"[1,2.5,-3]"}, extremes: []string{"[1e-30,3.4e+38,0]"}},
		{name: "geometry", extension: "postgis", empty: []string{"GEOMETRYCOLLECTION EMPTY"}, ordinary: []string{"SRID=4326;POINT(1.5 -2)", "POLYGON((0 0,1 0,1 1,0 0))"}, delimiter: ':'},
		{name: "geography(Point,4326)", extension: "postgis", ordinary: []string{"SRID=4326;POINT(1.5 -2)"}, delimiter: ':'},
		{name: "box2d", extension: "postgis", ordinary: []string{"BOX(0 0,1 1)"}, single: true},
	}
}
