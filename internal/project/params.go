package project

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/weir-ml/weir/mlflow"
)

// ParseParams reads the values of -P: name=value. A name may be given once.
func ParseParams(pairs []string) ([]Param, error) {
	var params []Param
	seen := map[string]bool{}
	for _, pair := range pairs {
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"Invalid format for -P parameter: '%s'. Use -P name=value.", pair)
		}
		if seen[name] {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Repeated parameter: '%s'", name)
		}
		seen[name] = true
		params = append(params, Param{Name: name, Value: value})
	}
	return params, nil
}

func checkParams(params []Param) error {
	for _, p := range params {
		if !paramName.MatchString(p.Name) {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
				"'%s' cannot be a parameter's name: letters, digits, _, . and - may follow a letter or _", p.Name)
		}
		if strings.ContainsRune(p.Value, 0) {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "the value of parameter '%s' holds a NUL", p.Name)
		}
	}
	return nil
}

// bound are the parameters of a run: as logged, and as the command gets them.
type bound struct {
	logged   []Param // declared ones in the file's order, then the others in the user's
	declared []Param
	extra    []Param
}

// bind matches the user's parameters with the declared ones.
func (r *runner) bind(ctx context.Context, declared Parameters, given []Param) (*bound, error) {
	left := map[string]Param{}
	for _, p := range given {
		left[p.Name] = p
	}
	b := &bound{}
	var missing []string
	for i, d := range declared {
		p, ok := left[d.Name]
		delete(left, d.Name)
		if !ok {
			if !d.Default.Set {
				missing = append(missing, "'"+d.Name+"'")
				continue
			}
			p = Param{Name: d.Name, Value: d.Default.Value}
		}
		b.logged = append(b.logged, p)
		if len(missing) > 0 {
			continue // nothing is fetched for a run that cannot start
		}
		value, err := r.value(ctx, d, p.Value, i, !ok)
		if err != nil {
			return nil, err
		}
		b.declared = append(b.declared, Param{Name: d.Name, Value: value})
	}
	if len(missing) > 0 {
		return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "No value given for missing parameters: %s", strings.Join(missing, ", "))
	}
	for _, p := range given {
		if _, ok := left[p.Name]; ok {
			b.extra = append(b.extra, p)
		}
	}
	b.logged = append(b.logged, b.extra...)
	return b, nil
}

// value turns a parameter's text into what the command gets, by its type.
func (r *runner) value(ctx context.Context, d Parameter, text string, position int, isDefault bool) (string, error) {
	switch d.Type {
	case "float":
		if _, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err != nil {
			return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "parameter '%s' is a float, and '%s' is not", d.Name, text)
		}
	case "path":
		return r.path(ctx, d.Name, text, position, isDefault)
	case "uri":
		if path, ok := mlflow.LocalPath(text); ok && !strings.HasPrefix(strings.ToLower(text), "file:") {
			return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Expected URI for parameter %s but got %s", d.Name, path)
		}
	}
	return text, nil
}

// path gives a local path for a parameter of that type: a file of this machine, or a copy of what a URI names.
func (r *runner) path(ctx context.Context, name, text string, position int, isDefault bool) (string, error) {
	if local, ok := mlflow.LocalPath(text); ok {
		places := []string{r.workDir(), r.dir}
		if isDefault { // written by the project's author, who means the project's files
			places = []string{r.dir, r.workDir()}
		}
		for _, place := range places {
			p := local
			if !filepath.IsAbs(p) {
				p = filepath.Join(place, p)
			}
			if _, err := os.Stat(p); err == nil {
				return p, nil
			}
		}
		return "", mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"Got value %s for parameter %s, but no such file or directory was found.", text, name)
	}
	dir, err := r.storage()
	if err != nil {
		return "", err
	}
	return r.o.Client.DownloadArtifacts(ctx, text, filepath.Join(dir, "param_"+strconv.Itoa(position)))
}

// storage makes the folder for downloads, once, and says so.
func (r *runner) storage() (string, error) {
	if r.storageDir != "" {
		return r.storageDir, nil
	}
	if r.o.StorageDir != "" {
		if err := os.MkdirAll(r.o.StorageDir, 0o777); err != nil {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(r.o.StorageDir, "weir-run-")
	if err != nil {
		return "", err
	}
	if r.o.StorageDir == "" { // nobody asked to keep it
		r.cleanup = append(r.cleanup, func() error { return os.RemoveAll(dir) })
	}
	r.say("=== Created directory %s for downloading remote URIs passed to arguments of type 'path' ===", dir)
	r.storageDir = dir
	return dir, nil
}
