package avro

import "strconv"

// Dates are counted in days since 1970-01-01 in the proleptic Gregorian calendar, as PostgreSQL's
// and Avro's both are; only the epochs differ.

// epochDays is 2000-01-01, PostgreSQL's epoch, in days since 1970-01-01.
const epochDays = 10957

const (
	microsPerSecond = 1_000_000
	microsPerDay    = 86400 * microsPerSecond
	// epochMicros is PostgreSQL's epoch in microseconds since 1970-01-01.
	epochMicros = epochDays * microsPerDay
)

// daysFromCivil counts in years that begin in March, so that the leap day is the last one; an era is
// the calendar's period of 400 years, 146097 days.
func daysFromCivil(year int64, month, day int) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	era := floorDiv(year, 400)
	ofEra := year - era*400
	ofYear := int64(153*(month-3)+2)/5 + int64(day) - 1
	return era*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468
}

func civilFromDays(days int64) (year int64, month, day int) {
	days += 719468
	era := floorDiv(days, 146097)
	ofEra := days - era*146097
	y := (ofEra - ofEra/1460 + ofEra/36524 - ofEra/146096) / 365
	ofYear := ofEra - (365*y + y/4 - y/100)
	m := (5*ofYear + 2) / 153
	day = int(ofYear-(153*m+2)/5) + 1
	month = int(m) + 3
	year = y + era*400
	if month > 12 {
		month -= 12
		year++
	}
	return year, month, day
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendDate prints yyyy-mm-dd. A year before 1 is printed as counted before Christ; the caller
// appends appendEra after the time of day.
func appendDate(dst []byte, days int64) (out []byte, bc bool) {
	year, month, day := civilFromDays(days)
	if bc = year <= 0; bc {
		year = 1 - year
	}
	if year < 1000 {
		dst = append(dst, "000"[:3-(digitCount(uint64(year))-1)]...)
	}
	dst = strconv.AppendInt(dst, year, 10)
	dst = appendTwo(append(dst, '-'), int64(month))
	return appendTwo(append(dst, '-'), int64(day)), bc
}

func appendEra(dst []byte, bc bool) []byte {
	if bc {
		return append(dst, " BC"...)
	}
	return dst
}

// appendClock prints hh:mm:ss and, when there is one, the fraction without trailing zeros.
func appendClock(dst []byte, micros int64) []byte {
	seconds := micros / microsPerSecond
	dst = appendTwo(dst, seconds/3600)
	dst = appendTwo(append(dst, ':'), seconds/60%60)
	dst = appendTwo(append(dst, ':'), seconds%60)
	return appendMicros(dst, micros%microsPerSecond)
}

// appendMicros prints a fraction of a second of up to six digits, nothing for zero.
func appendMicros(dst []byte, micros int64) []byte {
	if micros == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := int64(microsPerSecond / 10); micros > 0; unit /= 10 {
		dst = append(dst, '0'+byte(micros/unit))
		micros %= unit
	}
	return dst
}

func appendTwo(dst []byte, v int64) []byte {
	if v > 99 {
		return strconv.AppendInt(dst, v, 10)
	}
	return append(dst, '0'+byte(v/10), '0'+byte(v%10))
}

func digitCount(v uint64) int {
	n := 1
	for ; v >= 10; v /= 10 {
		n++
	}
	return n
}
