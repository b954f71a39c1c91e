package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheServerOfAModelIsHidden asks a process of its own, because it concerns a process as a whole.
func TestTheServerOfAModelIsHidden(t *testing.T) {
	if os.Getenv("WEIR_TEST_HIDES") != "" {
		if err := hideProcess(); err != nil {
			t.Fatal(err)
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		fmt.Printf("dumpable %d %v\n", dumpable, err)
		environ, err := os.Lstat("/proc/self/environ")
		if err != nil {
			t.Fatal(err)
		}
		// What this process starts is its user's again: supervision reads how much memory a worker has.
		out, err := exec.Command("/bin/cat", "/proc/self/statm").CombinedOutput()
		fmt.Printf("%v %v %d\n", environ.Mode().Perm(), err, len(bytes.Fields(out)))
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^TestTheServerOfAModelIsHidden$", "-test.v")
	cmd.Env = append(os.Environ(), "WEIR_TEST_HIDES=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("dumpable 0 <nil>\n-r-------- <nil> 7\n")) {
		t.Errorf("%v\n%s", err, out)
	}
}
