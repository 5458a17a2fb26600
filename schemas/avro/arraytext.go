package avro

// arrayFromText reads array_out's text. Anything but one dimension from 1 is special.
func arrayFromText(c *codec, dst, src []byte) ([]byte, error) {
	if len(src) < 2 || src[0] == '[' {
		if len(src) > 2 {
			return dst, errSpecial
		}
		return dst, errForm
	}
	if src[0] != '{' || src[len(src)-1] != '}' {
		return dst, errForm
	}
	body := src[1 : len(src)-1]
	if len(body) == 0 {
		return append(dst, 0), nil
	}
	if body[0] == '{' {
		return dst, errSpecial
	}
	return c.appendItems(dst, body)
}

func (c *codec) appendItems(dst, body []byte) ([]byte, error) {
	n, err := countItems(body, c.delimiter())
	if err != nil {
		return dst, err
	}
	dst = appendLong(dst, n)
	for range n {
		item, rest, err := cutItem(body, c.delimiter())
		if err != nil {
			return dst, err
		}
		if dst, err = c.appendItemText(dst, item); err != nil {
			return dst, err
		}
		body = rest
	}
	return append(dst, 0), nil
}

// appendItemText writes one element; only NULL without quotes is null.
func (c *codec) appendItemText(dst, item []byte) ([]byte, error) {
	if item[0] != '"' {
		if isNull(item) {
			return append(dst, branchNull), nil
		}
		return c.elem.text(c.elem, append(dst, branchValue), item)
	}
	c.scratch = c.scratch[:0]
	for i := 1; i < len(item)-1; i++ {
		if item[i] == '\\' {
			i++
		}
		c.scratch = append(c.scratch, item[i])
	}
	return c.elem.text(c.elem, append(dst, branchValue), c.scratch)
}

func countItems(body []byte, delimiter byte) (n int64, err error) {
	for more := true; more; n++ {
		var rest []byte
		if _, rest, err = cutItem(body, delimiter); err != nil {
			return 0, err
		}
		more, body = rest != nil, rest
	}
	return n, nil
}

// cutItem gives the first element as it stands, quotes included, and what follows its delimiter,
// nil when nothing does.
func cutItem(body []byte, delimiter byte) (item, rest []byte, err error) {
	i := 0
	if len(body) > 0 && body[0] == '"' {
		if i = closingQuote(body); i < 0 {
			return nil, nil, errForm
		}
		i++
	} else {
		for i < len(body) && body[i] != delimiter {
			i++
		}
	}
	switch {
	case i == 0:
		return nil, nil, errForm
	case i == len(body):
		return body, nil, nil
	case body[i] != delimiter:
		return nil, nil, errForm
	}
	return body[:i], body[i+1:], nil
}

func closingQuote(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}
