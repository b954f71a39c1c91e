package sqldb

import "golang.org/x/sys/unix"

// onNetwork tells whether a folder is on a file system that several hosts share.
func onNetwork(dir string) bool {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return false
	}
	switch unix.ByteSliceToString(st.Fstypename[:]) {
	case "nfs", "smbfs", "afpfs", "webdav":
		return true
	}
	return false
}
