package transfer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/weir-ml/weir/mlflow"
)

const (
	maxMeta  = 64 << 20 // bytes of a meta.yaml; that of a dataset holds its profile
	maxValue = 1 << 20  // bytes of a param or tag
	piece    = 16384    // points that are read at once
)

// meta is a meta.yaml. Its values are read as they are written, because YAML would take some ids for numbers.
type meta struct {
	fields map[string]yaml.Node
	err    error // of the first number that is none
}

func readMeta(dir string) (meta, error) {
	data, err := readFile(filepath.Join(dir, metaFile), maxMeta)
	if err != nil {
		return meta{}, err
	}
	m := meta{}
	if err := yaml.Unmarshal(data, &m.fields); err != nil {
		return meta{}, fmt.Errorf("%s: %s", metaFile, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if len(m.fields) == 0 {
		return meta{}, fmt.Errorf("%s is empty", metaFile)
	}
	return m, nil
}

// text gives a field's text, empty when it is null or absent.
func (m meta) text(name string) string {
	n := m.fields[name]
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// has says whether a field is there and not null.
func (m meta) has(name string) bool {
	n := m.fields[name]
	return n.Kind == yaml.ScalarNode && n.Tag != "!!null"
}

// first gives the first of some fields that is not empty.
func (m meta) first(names ...string) string {
	for _, name := range names {
		if text := m.text(name); text != "" {
			return text
		}
	}
	return ""
}

// number gives a whole number, 0 when it is null or absent.
func (m *meta) number(name string) int64 {
	text := m.text(name)
	if text == "" {
		return 0
	}
	v, err := parseInt(text)
	if err != nil && m.err == nil {
		m.err = fmt.Errorf("%s: %s: %w", metaFile, name, err)
	}
	return v
}

// pairs gives a field that is a mapping of texts, sorted by key.
func (m meta) pairs(name string) []mlflow.KeyValue {
	n := m.fields[name]
	if n.Kind != yaml.MappingNode {
		return nil
	}
	var list []mlflow.KeyValue
	for i := 0; i+1 < len(n.Content); i += 2 {
		list = append(list, mlflow.KeyValue{Key: n.Content[i].Value, Value: n.Content[i+1].Value})
	}
	return list
}

// parseInt reads a whole number, also when it is written as 1.7e12.
func parseInt(text string) (int64, error) {
	v, err := strconv.ParseInt(text, 10, 64)
	if err == nil {
		return v, nil
	}
	f, ferr := strconv.ParseFloat(text, 64)
	if ferr != nil || f != float64(int64(f)) {
		return 0, fmt.Errorf("%q is not a whole number", text)
	}
	return int64(f), nil
}

// openFile opens a regular file. Anything else is refused unopened: a pipe would be waited for until somebody writes to it,
// and a link in a tree that comes from elsewhere could lead to any file of ours.
func openFile(path string) (*os.File, error) {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("it is a link or a device, not a file")
	}
	return os.Open(path)
}

// readFile reads a regular file of at most so many bytes.
func readFile(path string, most int64) ([]byte, error) {
	f, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("it is longer than %d bytes", most)
	}
	return data, err
}

// eachFile calls fn with the files below a folder of keys. A key with a slash is a path; what is not there has no files.
func eachFile(dir, what string, faults Faults, fn func(key, path string) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if path == dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		rel, _ := filepath.Rel(dir, path)
		key := filepath.ToSlash(rel)
		switch {
		case err != nil:
			faults(what+key, err)
			return nil
		case d.IsDir():
			return nil
		}
		return fn(key, path)
	})
}

// readValues reads a folder of params or tags, sorted by key.
func readValues(dir, what string, faults Faults) (list []mlflow.KeyValue) {
	_ = eachFile(dir, what, faults, func(key, path string) error {
		data, err := readFile(path, maxValue)
		if err != nil {
			faults(what+key, err)
			return nil
		}
		list = append(list, mlflow.KeyValue{Key: key, Value: string(data)})
		return nil
	})
	slices.SortFunc(list, func(a, b mlflow.KeyValue) int { return strings.Compare(a.Key, b.Key) })
	return list
}

// readMetrics reads a folder of metrics, in pieces of one metric each. An error is one of emit.
func readMetrics(dir, what string, faults Faults, emit func([]mlflow.Metric) error) error {
	return eachFile(dir, what, faults, func(key, path string) error {
		return readMetric(path, key, what, faults, false, emit)
	})
}

// readMetric reads one metric's file. Its lines are "time value", "time value step" or "time value step dataset digest"; of
// a logged model "time value step run" and then possibly dataset and digest.
func readMetric(path, key, what string, faults Faults, ofModel bool, emit func([]mlflow.Metric) error) error {
	f, err := openFile(path)
	if err != nil {
		faults(what+key, err)
		return nil
	}
	defer f.Close()
	var points []mlflow.Metric
	bad, badLine := 0, error(nil)
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		m, err := parsePoint(strings.Fields(string(line)), ofModel)
		if err != nil {
			if bad++; bad == 1 {
				badLine = fmt.Errorf("line %d: %w", n, err)
			}
			continue
		}
		m.Key = key
		if points = append(points, m); len(points) == piece {
			if err := emit(points); err != nil {
				return err
			}
			points = points[:0]
		}
	}
	if err := lines.Err(); err != nil {
		faults(what+key, err)
	}
	switch {
	case bad == 1:
		faults(what+key, badLine)
	case bad > 1:
		faults(what+key, fmt.Errorf("%d lines cannot be read, the first is %w", bad, badLine))
	}
	if len(points) == 0 {
		return nil
	}
	return emit(points)
}

func parsePoint(fields []string, ofModel bool) (m mlflow.Metric, err error) {
	if len(fields) < 2 || ofModel && len(fields) < 4 {
		return m, fmt.Errorf("%q is not a point of a metric", strings.Join(fields, " "))
	}
	if m.Timestamp, err = parseInt(fields[0]); err != nil {
		return m, err
	}
	v, err := strconv.ParseFloat(fields[1], 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return m, fmt.Errorf("%q is not a number", fields[1])
	}
	m.Value = mlflow.Float(v)
	if len(fields) > 2 {
		if m.Step, err = parseInt(fields[2]); err != nil {
			return m, err
		}
	}
	rest := fields[min(len(fields), 3):]
	if ofModel {
		m.RunID, rest = rest[0], rest[1:]
	}
	if len(rest) >= 2 { // a dataset's name may hold spaces
		m.DatasetName, m.DatasetDigest = strings.Join(rest[:len(rest)-1], " "), rest[len(rest)-1]
	}
	return m, nil
}
