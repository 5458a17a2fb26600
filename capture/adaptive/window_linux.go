package adaptive

import "time"

const (
	// windowSmall is how much a server that is near may have on its way to us (SO_RCVBUF) while its messages are small: a
	// walsender that is told to wait soon gathers more of its messages into each piece. near is the round trip up to which that
	// costs no rate: 64 KiB in 300 µs are 200 MB/s.
	windowSmall = 64 << 10
	near        = 300 * time.Microsecond
	// windowWide is for messages of wideMessage bytes and more, a hundred of which fill the small window: both sides would
	// wait for each other more than they work.
	windowWide  = 256 << 10
	wideMessage = 320
	// windowAfter is how many bytes of messages are looked at before the window is chosen anew.
	windowAfter = 1 << 20
)

// window chooses the receive window by the size of the messages that come.
type window struct {
	size     int
	messages int
	bytes    int
}

// passed notes messages that came and tells whether the window is another one now.
func (w *window) passed(messages, bytes int) bool {
	w.messages += messages
	w.bytes += bytes
	if w.bytes < windowAfter {
		return false
	}
	size := windowSmall
	if w.bytes >= wideMessage*w.messages {
		size = windowWide
	}
	changed := size != w.size
	*w = window{size: size}
	return changed
}
