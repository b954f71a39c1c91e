package project

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// gitPattern knows the URIs that are cloned: a scheme of git, or the short form user@host:path.
var gitPattern = regexp.MustCompile(`^((https?|ssh|git|file)://|[A-Za-z0-9_][A-Za-z0-9_.-]*@[A-Za-z0-9_][A-Za-z0-9_.-]*:)`)

// source is where a project's files are.
type source struct {
	dir        string
	entryPoint string // set when the URI named a script
	name       string // for the tag mlflow.source.name
	tags       []mlflow.KeyValue
}

// fetch finds the folder of a project, cloning it first if it is in git.
func (r *runner) fetch(ctx context.Context) (source, error) {
	uri, sub, _ := strings.Cut(r.o.URI, "#")
	if sub != "" && !filepath.IsLocal(sub) {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'#%s' leads out of the project", sub)
	}
	if r.isGit(uri) {
		return r.clone(ctx, uri, sub)
	}
	if r.o.Version != "" {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Setting a version is only supported for Git project URIs")
	}
	path, ok := mlflow.LocalPath(uri)
	if !ok {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' is neither a folder, a script nor a git repository", uri)
	}
	if path == "" {
		path = "."
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.workDir(), path)
	}
	if sub == "" {
		if whole := path + strings.TrimPrefix(r.o.URI, uri); whole != path { // a path may hold a # of its own
			if _, err := os.Stat(whole); err == nil {
				path = whole
			}
		}
	}
	path = filepath.Join(path, sub)
	info, err := os.Stat(path)
	if err != nil {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "there is no project at %s", path)
	}
	s := source{dir: path, name: path}
	if !info.IsDir() {
		if !IsScript(path) {
			return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"%s is not a script that can be run: .R, .Rmd, .qmd, .py or .sh", path)
		}
		s.dir, s.entryPoint = filepath.Dir(path), filepath.Base(path)
	}
	if commit, err := r.git(ctx, s.dir, "rev-parse", "--verify", "--quiet", "HEAD"); err == nil && commit != "" {
		s.tags = append(s.tags, mlflow.KeyValue{Key: "mlflow.source.git.commit", Value: commit})
	}
	return s, nil
}

// isGit tells a repository from a folder. A file: URI is a folder unless a version is asked for or only git can read it.
func (r *runner) isGit(uri string) bool {
	if !gitPattern.MatchString(uri) {
		return false
	}
	path, isFile := mlflow.LocalPath(uri)
	if !isFile || !strings.HasPrefix(uri, "file:") {
		return true
	}
	_, noHead := os.Stat(filepath.Join(path, "HEAD"))
	_, noObjects := os.Stat(filepath.Join(path, "objects"))
	return r.o.Version != "" || (noHead == nil && noObjects == nil)
}

// clone copies a repository into a temporary folder and checks a version out: a branch, a tag or a commit.
func (r *runner) clone(ctx context.Context, uri, sub string) (source, error) {
	if strings.HasPrefix(r.o.Version, "-") {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'%s' is not a git version", r.o.Version)
	}
	dir, err := os.MkdirTemp("", "weir-project-")
	if err != nil {
		return source{}, err
	}
	r.cleanup = append(r.cleanup, func() error { return os.RemoveAll(dir) })
	shown := withoutPassword(uri)
	if _, err := r.git(ctx, dir, "clone", "--quiet", "--no-checkout", "--", uri, "."); err != nil {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "clone %s: %s", shown,
			strings.ReplaceAll(err.Error(), uri, shown))
	}
	s := source{dir: filepath.Join(dir, sub), name: shown}
	if sub != "" {
		s.name += "#" + sub
	}
	revision, branch := "HEAD", ""
	if r.o.Version != "" {
		if _, err := r.git(ctx, dir, "rev-parse", "--verify", "--quiet", "refs/remotes/origin/"+r.o.Version+"^{commit}"); err == nil {
			revision, branch = "refs/remotes/origin/"+r.o.Version, r.o.Version
		} else {
			revision = r.o.Version
		}
	}
	commit, err := r.git(ctx, dir, "rev-parse", "--verify", "--quiet", revision+"^{commit}")
	if err != nil {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s has no version '%s'", shown, r.o.Version)
	}
	if _, err := r.git(ctx, dir, "checkout", "--quiet", "--detach", commit); err != nil {
		return source{}, err
	}
	s.tags = append(s.tags, mlflow.KeyValue{Key: "mlflow.source.git.commit", Value: commit},
		mlflow.KeyValue{Key: "mlflow.source.git.repoURL", Value: shown})
	if branch != "" {
		s.tags = append(s.tags, mlflow.KeyValue{Key: "mlflow.source.git.branch", Value: branch})
	}
	// A link in the repository must not lead the run to another place of this machine.
	real, err := filepath.EvalSymlinks(s.dir)
	if err != nil {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s has no folder '%s'", shown, sub)
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return source{}, err
	}
	if rel, err := filepath.Rel(root, real); err != nil || !filepath.IsLocal(rel) {
		return source{}, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "'#%s' leads out of the project", sub)
	}
	return s, nil
}

func withoutPassword(uri string) string {
	if u, err := url.Parse(uri); err == nil && u.User != nil {
		if _, has := u.User.Password(); has {
			u.User = nil
			return u.String()
		}
	}
	return uri
}

// git runs git in a folder, in the environment of the project, and gives what it prints. It never asks for a password, and uses no transport that runs programs
// which the URI names.
func (r *runner) git(ctx context.Context, dir string, args ...string) (string, error) {
	program, err := lookPath("git", r.o.Env)
	if err != nil {
		return "", fmt.Errorf("git is not installed, or not on PATH")
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	cmd.Env = append(slices.Clone(r.o.Env), "GIT_TERMINAL_PROMPT=0", "GIT_ALLOW_PROTOCOL=file:git:http:https:ssh", "LC_ALL=C")
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(complaint.String()); text != "" {
			return "", fmt.Errorf("git: %s", text)
		}
		return "", fmt.Errorf("git: %w", err)
	}
	return strings.TrimSpace(out.String()), nil
}
