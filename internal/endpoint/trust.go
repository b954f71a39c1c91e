package endpoint

import (
	"strconv"
	"strings"

	"github.com/weir-ml/weir/internal/rds"
)

// maxInspect bounds the models that are looked into: it takes three times their size for a moment.
const maxInspect = 256 << 20

// warnOfPromises says so when the model's file holds code that R before 4.4 runs while it loads the file. It reads the
// file without evaluating anything. A file that cannot be read is R's to complain about.
func (e *Endpoint) warnOfPromises(rVersion string) {
	defer e.slots.Done()
	v, err := rds.ReadFile(e.launch.file, maxInspect)
	if err != nil {
		return
	}
	found, err := rds.Inspect(v)
	if err != nil || found.Promises == 0 {
		return
	}
	e.cfg.Logger.Warn("model_holds_promises", "cve", "CVE-2024-27322", "r_version", rVersion, "promises", found.Promises,
		"advice", "R before 4.4 runs code that is hidden in such a file when it loads it; serve it only when you know who made it")
}

// runsPromises reports whether an R of that version evaluates the promises of a file that it loads.
func runsPromises(rVersion string) bool {
	parts := strings.Split(rVersion, ".")
	if len(parts) < 2 {
		return false
	}
	major, _ := strconv.Atoi(parts[0])
	minor, _ := strconv.Atoi(parts[1])
	return major < 4 || major == 4 && minor < 4
}
