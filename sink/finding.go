package sink

// Finding is one thing that a destination's check looked at. Fault is empty when it is well; Fix is what to run or
// change otherwise.
type Finding struct {
	What  string
	Fault string
	Fix   string
	// Warning says that it works, and may do what nobody wants.
	Warning bool
}
