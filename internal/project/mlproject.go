package project

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-ml/weir/mlflow"
)

// File is an MLproject file.
type File struct {
	Name        string                `yaml:"name"`
	EntryPoints map[string]EntryPoint `yaml:"entry_points"`
	PythonEnv   string                `yaml:"python_env"`
	CondaEnv    string                `yaml:"conda_env"`
	DockerEnv   map[string]any        `yaml:"docker_env"`
	REnv        map[string]any        `yaml:"r_env"`
}

// EntryPoint is one command of a project.
type EntryPoint struct {
	Parameters Parameters `yaml:"parameters"`
	Command    string     `yaml:"command"`
}

// Parameters are in the order of the file.
type Parameters []Parameter

// Parameter is a declared parameter. Its type is string, float, path or uri; another one counts as string.
type Parameter struct {
	Name    string
	Type    string
	Default mlflow.Opt[string] // as written in the file
}

// UnmarshalYAML reads both forms: `alpha: float` and `alpha: {type: float, default: 0.5}`.
func (p *Parameters) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		if node.Tag == "!!null" {
			return nil
		}
		return fmt.Errorf("line %d: parameters must be a mapping of names to types", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		parameter := Parameter{Name: key.Value, Type: "string"}
		switch value.Kind {
		case yaml.ScalarNode:
			if value.Tag != "!!null" {
				parameter.Type = value.Value
			}
		case yaml.MappingNode:
			for j := 0; j+1 < len(value.Content); j += 2 {
				field, v := value.Content[j].Value, value.Content[j+1]
				switch {
				case v.Tag == "!!null":
				case v.Kind != yaml.ScalarNode:
					return fmt.Errorf("line %d: %s of parameter '%s' must be a single value", v.Line, field, key.Value)
				case field == "type":
					parameter.Type = v.Value
				case field == "default":
					parameter.Default = mlflow.Some(v.Value) // the text as it stands, so that 010 and 1.50 stay what they are
				}
			}
		default:
			return fmt.Errorf("line %d: parameter '%s' must be a type, or a mapping with type and default", value.Line, key.Value)
		}
		*p = append(*p, parameter)
	}
	return nil
}

// Load reads the MLproject file of a folder, whatever the case of its name. A folder without one is an empty project.
func Load(dir string) (*File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	f := &File{}
	for _, e := range entries {
		if !strings.EqualFold(e.Name(), "MLproject") || e.IsDir() {
			continue
		}
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		if err := yaml.Unmarshal(data, f); err != nil {
			return nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "%s: %v", filepath.Join(dir, e.Name()), err)
		}
		break
	}
	return f, f.check()
}

func (f *File) check() error {
	environments := 0
	for _, given := range []bool{f.PythonEnv != "", f.CondaEnv != "", f.DockerEnv != nil} {
		if given {
			environments++
		}
	}
	if environments > 1 {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "Project cannot contain multiple environment fields")
	}
	if f.DockerEnv != nil {
		return mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"MLproject asks for docker_env, which is not supported; run the project in the container instead")
	}
	for name, e := range f.EntryPoints {
		if strings.TrimSpace(e.Command) == "" {
			return mlflow.Errorf(mlflow.CodeInvalidParameterValue, "entry point '%s' of MLproject has no command", name)
		}
	}
	return nil
}

// scripts says how a file that no MLproject mentions is run, by its extension in lower case.
var scripts = map[string]func(file string) []string{
	".r":   rSource,
	".rmd": rSource,
	".qmd": rSource,
	".py":  func(file string) []string { return []string{"python", file} },
	".sh":  func(file string) []string { return []string{"bash", file} },
}

func rSource(file string) []string {
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(file)
	return []string{"Rscript", "-e", "mlflow::mlflow_source('" + quoted + "')", "--args"}
}

// IsScript tells whether a file can be an entry point by itself.
func IsScript(name string) bool {
	return scripts[strings.ToLower(filepath.Ext(name))] != nil
}

// plan finds how an entry point runs in a folder: its command, or the argv of a script.
func (f *File) plan(dir, name string) (EntryPoint, []string, error) {
	if e, ok := f.EntryPoints[name]; ok {
		return e, nil, nil
	}
	if !IsScript(name) {
		return EntryPoint{}, nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue,
			"Could not find %s among entry points %s or interpret %s as a runnable script. Supported script file extensions: "+
				".R, .Rmd, .qmd, .py, .sh%s", name, f.names(), name, suggest(dir))
	}
	if !filepath.IsLocal(name) {
		return EntryPoint{}, nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "entry point %s is not inside the project", name)
	}
	info, err := os.Stat(filepath.Join(dir, name))
	if err != nil || !info.Mode().IsRegular() {
		return EntryPoint{}, nil, mlflow.Errorf(mlflow.CodeInvalidParameterValue, "there is no file %s in %s%s", name, dir, suggest(dir))
	}
	return EntryPoint{}, scripts[strings.ToLower(filepath.Ext(name))](name), nil
}

func (f *File) names() string {
	names := make([]string, 0, len(f.EntryPoints))
	for name := range f.EntryPoints {
		names = append(names, "'"+name+"'")
	}
	slices.Sort(names)
	return "[" + strings.Join(names, ", ") + "]"
}

// suggest names the scripts of a folder, for a user who left the entry point out.
func suggest(dir string) string {
	entries, _ := os.ReadDir(dir)
	var found []string
	for _, e := range entries {
		if !e.IsDir() && IsScript(e.Name()) {
			found = append(found, e.Name())
		}
	}
	if len(found) == 0 {
		return ""
	}
	return "; the folder has " + strings.Join(found, ", ") + " (-e chooses one)"
}
