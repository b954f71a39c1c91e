package e2e

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-ml/weir/internal/sqldb"
)

// pythonDatabase makes the SQLite file that a release of Python's mlflow made, from the dump that the tests of package
// transfer have.
func pythonDatabase(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open("../internal/transfer/testdata/mlflow-3.17.2.sql.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.OpenFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	var tables, rows []string
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		b.WriteString(line)
		s := b.String()
		if !strings.HasSuffix(s, ";\n") || strings.Count(s, "'")%2 != 0 || strings.HasPrefix(s, "CREATE TRIGGER") && !strings.HasSuffix(s, "END;\n") {
			continue
		}
		b.Reset()
		switch {
		case strings.HasPrefix(s, "CREATE TABLE"):
			tables = append(tables, s)
		case strings.HasPrefix(s, "INSERT"):
			rows = append(rows, s)
		}
	}
	err = db.Write(t.Context(), func(tx *sqldb.Tx) error {
		for _, s := range append(append([]string{`pragma defer_foreign_keys = on`}, tables...), rows...) {
			if _, err := tx.Exec(strings.TrimRight(s, ";\n")); err != nil {
				return fmt.Errorf("%w in %.100s", err, s)
			}
		}
		return nil
	})
	if err == nil {
		err = db.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// listing is every file below dir with its size and time.
func listing(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && !d.IsDir() {
			files = append(files, fmt.Sprint(path, " ", info.Size(), " ", info.ModTime().UnixNano()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// `weir ui` shows what Python's mlflow has in its database. Nothing is written there, and nothing is left in the end.
func TestUIShowsTheDatabaseOfPythonsMLflow(t *testing.T) {
	t.Parallel()
	dir, temp := t.TempDir(), t.TempDir()
	pythonDatabase(t, filepath.Join(dir, "mlflow.db"))
	before := listing(t, dir)

	cmd := exec.Command(filepath.Join(bin, "weir"), "ui", "sqlite:///mlflow.db")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TMPDIR="+temp, "HOME="+temp)
	said, experiments := throughUI(t, cmd)
	if !strings.Contains(experiments, "wine quality") {
		t.Errorf("the experiment is not shown: %s", experiments)
	}
	if !strings.Contains(said, "is a database of Python's MLflow: a copy of it is shown, and changes are not written back") {
		t.Errorf("it says %q", said)
	}
	if after := listing(t, dir); !slices.Equal(before, after) {
		t.Errorf("the folder has changed\nbefore %v\nafter %v", before, after)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

// throughUI starts `weir ui`, opens its link, asks for the experiments as the page does, and ends it as Ctrl-C does.
func throughUI(t *testing.T, cmd *exec.Cmd) (said, experiments string) {
	t.Helper()
	var errors bytes.Buffer
	cmd.Stderr = &errors
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() {
		if !ended {
			ended = true
			cmd.Process.Signal(syscall.SIGINT)
			cmd.Wait()
		}
	}
	defer end()
	link, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		end()
		t.Fatalf("no link: %v\n%s", err, errors.String())
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := http.Client{Jar: jar, Timeout: time.Minute}
	link = strings.TrimSpace(link)
	base, _, _ := strings.Cut(link, "/open")
	for _, url := range []string{link, base + "/api/2.0/mlflow/experiments/search?max_results=10"} {
		response, err := browser.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s answered %s: %s, %v", url, response.Status, body, err)
		}
		experiments = string(body)
	}
	end()
	return errors.String(), experiments
}

// An import that is killed in the middle goes on when it is begun again, and nothing is missing or twice.
func TestImportThatIsKilledGoesOn(t *testing.T) {
	t.Parallel()
	const runs, lines = 600, 200
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := filepath.Join(dir, "mlruns", "123456789012345678", filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("meta.yaml", "experiment_id: '123456789012345678'\nname: wine\nlifecycle_stage: active\ncreation_time: 1700000000000\nlast_update_time: 1700000000000\n")
	var points strings.Builder
	for n := range lines {
		fmt.Fprintf(&points, "%d %g %d\n", 1700000000000+n, 1/float64(n+1), n)
	}
	for n := range runs {
		id := fmt.Sprintf("%032x", n+1)
		write(id+"/meta.yaml", fmt.Sprintf("run_id: %s\nexperiment_id: '123456789012345678'\nstatus: 3\nstart_time: %d\nlifecycle_stage: active\n", id, 1700000000000+n))
		write(id+"/metrics/rmse", points.String())
		write(id+"/params/n", fmt.Sprint(n))
		write(id+"/artifacts/model/MLmodel", "flavors: {}\n")
	}
	weir := func(args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, "weir"), args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "HOME="+dir)
		return cmd
	}
	killed := 0
	for _, at := range []int{40, 250} {
		cmd := weir("import", "mlruns", "--to", "store")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		copied := func() bool {
			found, _ := filepath.Glob(filepath.Join(dir, "store", "123456789012345678", "*", "artifacts", "model", "MLmodel"))
			return len(found) >= at
		}
		for deadline := time.Now().Add(time.Minute); !copied() && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		}
		cmd.Process.Kill()
		if err := <-ended; err != nil {
			killed++
		}
	}
	if killed != 2 {
		t.Fatalf("%d of 2 imports were killed before they ended", killed)
	}
	out, err := weir("import", "mlruns", "--to", "store").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("there already")) {
		t.Fatalf("%v\n%s", err, out)
	}
	// What is there now is what an import that nobody kills makes.
	if out, err := weir("import", "mlruns", "--to", "other").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, store := range []string{"store", "other"} {
		file := store + ".tar"
		out, err := weir("export", store, "-o", file).Output()
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{fmt.Sprintf("runs %17d", runs), fmt.Sprintf("metric points %8d", runs*lines), fmt.Sprintf("artifact files %7d", runs)} {
			squeezed := strings.Join(strings.Fields(string(out)), " ")
			if !strings.Contains(squeezed, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("%s: no %q in\n%s", store, want, out)
			}
		}
		if out, err := weir("import", "mlruns", "--to", store).CombinedOutput(); err != nil || !bytes.Contains(out, []byte("Nothing has changed")) {
			t.Errorf("%s: another import: %v\n%s", store, err, out)
		}
	}
}
