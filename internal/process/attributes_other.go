//go:build unix && !linux

package process

import "syscall"

// attributes cannot ask for a death signal here: only the folder's keeper survives us.
func attributes(s Spec) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Credential: s.User.credential()}
}

func children(int) []int { return nil }
