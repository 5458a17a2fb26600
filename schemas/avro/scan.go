package avro

import "bytes"

// scanner reads the texts of dates and times. ok turns false at the first surprise and stays so.
type scanner struct {
	b  []byte
	ok bool
}

// number reads at least min digits, at most 9.
func (s *scanner) number(min int) int64 {
	v, n := int64(0), 0
	for n < len(s.b) && n < 9 && s.b[n] >= '0' && s.b[n] <= '9' {
		v = v*10 + int64(s.b[n]-'0')
		n++
	}
	if n < min {
		s.ok = false
	}
	s.b = s.b[n:]
	return v
}

// skip passes over c when it is next.
func (s *scanner) skip(c byte) bool {
	if len(s.b) == 0 || s.b[0] != c {
		return false
	}
	s.b = s.b[1:]
	return true
}

func (s *scanner) want(c byte) {
	if !s.skip(c) {
		s.ok = false
	}
}

// date reads yyyy-mm-dd; bc says that the year is counted before Christ.
func (s *scanner) date(bc bool) int64 {
	year := s.number(4)
	s.want('-')
	month := s.number(2)
	s.want('-')
	day := s.number(2)
	if month < 1 || month > 12 || day < 1 || day > 31 {
		s.ok = false
		return 0
	}
	if bc {
		year = 1 - year
	}
	return daysFromCivil(year, int(month), int(day))
}

// clock reads hh:mm:ss and up to six digits of fraction, in microseconds.
func (s *scanner) clock() int64 {
	hour := s.number(2)
	s.want(':')
	minute := s.number(2)
	s.want(':')
	second := s.number(2)
	if hour > 24 || minute > 59 || second > 60 {
		s.ok = false
	}
	return (hour*3600+minute*60+second)*microsPerSecond + s.fraction()
}

func (s *scanner) fraction() int64 {
	if !s.skip('.') {
		return 0
	}
	before := len(s.b)
	v := s.number(1)
	digits := before - len(s.b)
	if digits > 6 {
		s.ok = false
		return 0
	}
	return v * int64(pow10(6-digits))
}

// zone reads ±hh[:mm[:ss]] where there is one, in microseconds east of Greenwich.
func (s *scanner) zone() int64 {
	sign := int64(1)
	switch {
	case s.skip('-'):
		sign = -1
	case s.skip('+'):
	default:
		return 0
	}
	seconds := s.number(2) * 3600
	if s.skip(':') {
		seconds += s.number(2) * 60
	}
	if s.skip(':') {
		seconds += s.number(2)
	}
	return sign * seconds * microsPerSecond
}

// done tells whether everything was read and right.
func (s *scanner) done() bool { return s.ok && len(s.b) == 0 }

func cutEra(b []byte) (rest []byte, bc bool) { return bytes.CutSuffix(b, []byte(" BC")) }

func isInfinity(b []byte) bool { return string(b) == "infinity" || string(b) == "-infinity" }
