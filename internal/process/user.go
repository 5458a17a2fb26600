package process

import (
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// User is whom a child runs as.
type User struct {
	Name     string
	UID, GID int
}

// Unprivileged gives a user for programs that refuse root: nil when we are not root, else postgres
// or, where that does not exist, nobody.
func Unprivileged() (*User, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.Atoi(u.Uid)
		gid, errGID := strconv.Atoi(u.Gid)
		if errUID == nil && errGID == nil {
			return &User{Name: name, UID: uid, GID: gid}, nil
		}
	}
	return nil, fmt.Errorf("cannot run PostgreSQL as root, and there is no user postgres or nobody: run as an ordinary user")
}

// Own gives the path to the user; nothing to do for nil.
func (u *User) Own(path string) error {
	if u == nil {
		return nil
	}
	return os.Chown(path, u.UID, u.GID)
}

func (u *User) credential() *syscall.Credential {
	if u == nil {
		return nil
	}
	return &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID)}
}
