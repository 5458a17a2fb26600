package process

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

func attributes(s Spec) *syscall.SysProcAttr {
	death := s.DeathSignal
	if death == 0 {
		death = syscall.SIGKILL
	}
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death, Credential: s.User.credential()}
}

// children lists the direct children of a process (proc(5)); none when the kernel does not tell.
func children(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var pids []int
	for _, word := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(word); err == nil {
			pids = append(pids, child)
		}
	}
	return pids
}
