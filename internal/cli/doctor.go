package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/internal/server"
)

// finding is one line of what the doctor saw.
type finding struct {
	Check  string `json:"check"`
	State  string `json:"state"` // ok, warning or error
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

const (
	stateOK      = "ok"
	stateWarning = "warning"
	stateError   = "error"
)

// doctorCommand looks at everything that Weir needs and says what is wrong and what to do about it.
func (a *app) doctorCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "doctor", Short: "Check R, its packages, ports and the store", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			findings := []finding{{Check: "weir", State: stateOK, Detail: fmt.Sprintf("%s, MLflow API %s, %s/%s", Version, server.MLflowVersion, runtime.GOOS, runtime.GOARCH)}}
			findings = append(findings, a.checkR(cmd.Context())...)
			findings = append(findings, a.checkStore(cmd.Context()), checkPort(cmd.Context(), 5000))
			if a.asJSON {
				if err := writeJSON(a.Stdout, findings, 2); err != nil {
					return err
				}
			} else {
				a.printFindings(findings)
			}
			for _, f := range findings {
				if f.State == stateError {
					return exitError(1)
				}
			}
			return nil
		}}
	a.jsonFlag(cmd)
	ignore(cmd, nil, "mask-envs")
	return a.trackingFlags(cmd)
}

func (a *app) printFindings(findings []finding) {
	for _, f := range findings {
		mark := map[string]string{stateOK: "ok     ", stateWarning: "warning", stateError: "ERROR  "}[f.State]
		fmt.Fprintf(a.Stdout, "%s  %-18s %s\n", mark, f.Check, f.Detail)
		if f.Advice != "" {
			fmt.Fprintf(a.Stdout, "         %-18s -> %s\n", "", f.Advice)
		}
	}
}

// rReport makes R print its version, where it finds packages, and the version of each package that is asked for.
const rReport = `cat("R", paste(R.version$major, R.version$minor, sep = "."), "\n")
cat("LIB", .libPaths()[1], "\n")
for (p in commandArgs(TRUE)) cat("PKG", p, tryCatch(as.character(utils::packageVersion(p)), error = function(e) "-"), "\n")`

func (a *app) checkR(ctx context.Context) []finding {
	r, err := a.findR("")
	if err != nil {
		return []finding{{"R", stateError, "not found on PATH", "apt-get install --no-install-recommends r-base-core"}}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	args := append([]string{"--slave", "--vanilla", "-e", rReport, "--args"}, "curl", "jsonlite", "yaml", "rlang", "cli", "mlflow")
	// Rscript would look for R where it was built; R --slave runs the one that was found.
	cmd := exec.CommandContext(ctx, r, args...)
	cmd.Env = a.Environ
	out, err := cmd.Output()
	if err != nil {
		detail := err.Error()
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			detail = strings.Join(strings.Fields(string(exit.Stderr)), " ")
		}
		return []finding{{"R", stateError, r + " does not run: " + detail, "run `" + r + " --version` and repair the installation"}}
	}
	var findings []finding
	for line := range strings.Lines(string(out)) {
		word := strings.Fields(line)
		switch {
		case len(word) == 2 && word[0] == "R":
			findings = append(findings, finding{Check: "R", State: stateOK, Detail: word[1] + " at " + r})
		case len(word) >= 2 && word[0] == "LIB":
			findings = append(findings, finding{Check: "R library", State: stateOK, Detail: strings.Join(word[1:], " ")})
		case len(word) == 3 && word[0] == "PKG":
			findings = append(findings, packageFinding(a.name, word[1], word[2]))
		}
	}
	return findings
}

func packageFinding(program, name, version string) finding {
	f := finding{Check: "R package " + name, State: stateOK, Detail: version}
	switch {
	case version == "-" && name == "mlflow":
		f.State, f.Detail, f.Advice = stateWarning, "not installed", program+" r install"
	case version == "-":
		f.State, f.Detail = stateError, "not installed"
		f.Advice = fmt.Sprintf("apt-get install r-cran-%s, or install.packages(%q) in R", name, name)
	case name == "mlflow" && !strings.HasPrefix(version, "4."):
		f.State, f.Detail = stateWarning, version+" is CRAN's package, which needs Python for artifacts unless MLFLOW_BIN names this program"
		f.Advice = program + " r install"
	}
	return f
}

func (a *app) checkStore(ctx context.Context) finding {
	uri := a.trackingURI
	f := finding{Check: "tracking", State: stateOK}
	if strings.HasPrefix(uri, "http://") || strings.HasPrefix(uri, "https://") {
		t, err := a.open(ctx)
		if err == nil {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			_, err = t.GetExperimentByName(ctx, "Default")
		}
		if err != nil {
			return finding{"tracking", stateError, err.Error(), "check MLFLOW_TRACKING_URI and the server"}
		}
		f.Detail = "server answers"
		return f
	}
	store, err := server.ParseStore(uri, a.Dir)
	if err != nil {
		return finding{"tracking", stateError, err.Error(), "set MLFLOW_TRACKING_URI to a folder or a server's address"}
	}
	f.Detail = store.String()
	if !store.Local() {
		f.Detail += ", which only servers open"
		return f
	}
	dir := store.Folder
	if dir == "" {
		dir = filepath.Dir(store.File)
	}
	switch _, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		f.Detail += " (will be made when it is needed)"
	case err != nil:
		return finding{"tracking", stateError, err.Error(), "choose another folder with MLFLOW_TRACKING_URI"}
	default:
		probe, err := os.CreateTemp(dir, ".weir-doctor-*")
		if err != nil {
			return finding{"tracking", stateError, dir + " cannot be written", "choose another folder with MLFLOW_TRACKING_URI"}
		}
		probe.Close()
		os.Remove(probe.Name())
	}
	if lone := filepath.Join(a.Dir, "mlflow.db"); uri == "" && isFile(lone) {
		f.State, f.Advice = stateWarning, "mlflow.db here is MLflow's own database; `weir import` will bring it in"
	}
	return f
}

func checkPort(ctx context.Context, port int) finding {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return finding{"port", stateWarning, address + " is taken", "give the server another one with --port"}
	}
	l.Close()
	return finding{Check: "port", State: stateOK, Detail: address + " is free"}
}
