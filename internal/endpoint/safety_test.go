package endpoint

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNoProfileIsRead puts profiles wherever R looks for them; none of them is run by a worker.
func TestNoProfileIsRead(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	for name, text := range map[string]string{".Rprofile": "options(profile.was.read = TRUE)\n", ".Renviron": "PROFILE_WAS_READ=yes\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"PATH": os.Getenv("PATH"), "HOME": home, "R_PROFILE": filepath.Join(home, ".Rprofile"), "R_PROFILE_USER": filepath.Join(home, ".Rprofile"),
		"R_ENVIRON": filepath.Join(home, ".Renviron"), "R_ENVIRON_USER": filepath.Join(home, ".Renviron")}
	_, server := serve(t, "obey", func(c *Config) {
		c.Getenv = func(k string) string { return env[k] }
		c.PassEnv = []string{"R_PROFILE", "R_PROFILE_USER", "R_ENVIRON", "R_ENVIRON_USER"}
	})
	body := `[{"do": "eval", "code": "paste(is.null(getOption('profile.was.read')), Sys.getenv('PROFILE_WAS_READ'), Sys.getenv('HOME'))"}]`
	if status, got := post(t, server, "/invocation", "application/json", body); status != 200 || got != `["TRUE  `+home+`"]` {
		t.Errorf("%d %s", status, got)
	}
}

func TestWorkersHaveLimits(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/limits"); err != nil {
		t.Log("this system has no /proc: only that workers start is seen")
	}
	_, server := serve(t, "obey", func(c *Config) { c.MaxMemory = 1 << 30 })
	body := `[{"do": "eval", "code": "l <- readLines('/proc/self/limits'); gsub(' +', ' ', grep('^Max (core|data)', l, value = TRUE))"}]`
	status, got := post(t, server, "/invocation", "application/json", body)
	if status != 200 || !strings.Contains(got, "Max data size 2147483648 2147483648") || !strings.Contains(got, "Max core file size 0 0") {
		t.Errorf("%d %s", status, got)
	}
}

// TestHiddenCodeIsWarnedOfOnce serves a file that R before 4.4 runs code of, with several workers of which one dies.
func TestHiddenCodeIsWarnedOfOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	script := `dir <- commandArgs(TRUE)[1]
fit <- lm(dist ~ speed, cars)
x <- serialize(structure(fit, note = pairlist(quote(hidden(1)))), NULL, version = 2)
mark <- serialize(quote(hidden(1)), NULL, version = 2)[-(1:14)]
at <- which(vapply(seq_len(length(x) - length(mark)), function(i) identical(x[i + seq_along(mark) - 1L], mark), NA))
con <- xzfile(file.path(dir, "model.rds"), "wb")
writeBin(c(x[seq_len(at - 1L)], as.raw(c(0, 0, 0, 5)), as.raw(c(0, 0, 0, 252)), mark, x[(at + length(mark)):length(x)]), con)
close(con)
writeLines(c("flavors:", "  rds: {model: model.rds}"), file.path(dir, "MLmodel"))
cat(getRversion() < "4.4.0")
`
	out, err := exec.CommandContext(t.Context(), "Rscript", "--vanilla", "-e", script, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, trusted := range []bool{false, true} {
		log := &syncBuffer{}
		e, server := serve(t, "", func(c *Config) {
			c.Dir, c.Workers, c.TrustModel, c.Logger = dir, 2, trusted, slog.New(slog.NewTextHandler(log, nil))
		})
		for range 4 {
			if status, body := post(t, server, "/invocations", "application/json", `{"inputs": {"speed": [10]}}`); status != 200 {
				t.Fatalf("%d %s", status, body)
			}
		}
		if err := e.Close(context.Background()); err != nil { // waits until the file was looked at
			t.Error(err)
		}
		want := 0
		if !trusted && string(out) == "TRUE" {
			want = 1
		}
		if got := strings.Count(log.String(), "CVE-2024-27322"); got != want {
			t.Errorf("trusted %v: warned %d times: %s", trusted, got, log.String())
		}
	}
}
