//go:build !crashpoints

// Package crash names the moments of a change's way at which a process may die. In the builds that people run a
// point is nothing; with the build tag crashpoints the environment says at which one the process kills itself, as
// kill -9 would: SLUICE_CRASH=NAME@N, at the Nth time that it comes by. The fault matrix (make faults) goes through
// them all.
package crash

// At is a point.
func At(string) {}
