package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/endpoint"
	"github.com/weir-ml/weir/mlflow"
)

// batchInput is the rows of a batch: files of this machine, of an object store or of a run, or standard input.
type batchInput struct {
	files []endpoint.BatchFile
	about string // when they were changed, for a batch that goes on later
	again bool   // they can be read again
	close func()
}

// rowFormats are what a file of rows may be, and what --content-type calls it.
const rowFormats = "CSV, JSON lines, Parquet, Arrow or .rds"

// openInput finds the rows that a name stands for. contentType says what they are where no name does.
func (a *app) openInput(ctx context.Context, name, contentType string) (in *batchInput, err error) {
	in = &batchInput{close: func() {}, again: true}
	format, err := rowFormat(contentType)
	if err != nil {
		return nil, err
	}
	switch {
	case name == "" || name == "-":
		return in, in.addStandardInput(a.Stdin, format)
	case artifact.IsCloudURI(name):
		return in, in.addPlace(ctx, name, format, a.cloudOptions())
	}
	local, ok := mlflow.LocalPath(name)
	if !ok {
		if local, err = in.download(ctx, a, name); err != nil {
			return nil, err
		}
		in.about = name
		return in, in.addLocal(local, format, false)
	}
	return in, in.addLocal(a.abs(local), format, true)
}

// rowFormat gives the format that a content type names; "" for none.
func rowFormat(contentType string) (string, error) {
	switch strings.ToLower(contentType) {
	case "":
		return "", nil
	case "parquet", "arrow", "arrows", "rds":
		return strings.ToLower(contentType), nil
	}
	media, err := mediaType(contentType, "")
	if err != nil {
		return "", err
	}
	return map[string]string{mediaCSV: "csv", mediaLines: "jsonl", mediaJSON: "json"}[media], nil
}

// format decides what a file is; an unknown one is refused, since a batch that leaves out a file is worse than none.
func (in *batchInput) format(name, given string) (string, error) {
	format := given
	if format == "" {
		format = endpoint.FormatOf(name)
	}
	if format == "" || format == "json" {
		return "", usagef("%s: a batch reads %s: name the input so, or say --content-type", name, rowFormats)
	}
	return format, nil
}

func (in *batchInput) addStandardInput(r io.Reader, format string) error {
	in.again = false
	if format == "csv" || format == "jsonl" {
		in.files = []endpoint.BatchFile{{Name: "standard input", Format: format, Stream: r}}
		return nil
	}
	format, err := in.format("standard input", format)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "weir-rows-")
	if err != nil {
		return err
	}
	in.close = func() {
		f.Close()
		os.Remove(f.Name())
	}
	size, err := io.Copy(f, r)
	if err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	in.files = []endpoint.BatchFile{localFile("standard input", f.Name(), format, size)}
	return nil
}

func localFile(name, path, format string, size int64) endpoint.BatchFile {
	return endpoint.BatchFile{Name: name, Format: format, Size: size, Open: func(context.Context) (io.ReadSeekCloser, error) {
		f, err := os.Open(path)
		if err != nil {
			return nil, notFound(name, err)
		}
		return f, nil
	}}
}

// addLocal adds a file, or the files of a folder by name; hidden ones and those of Spark, _SUCCESS and the like, are none.
func (in *batchInput) addLocal(local, format string, dated bool) error {
	info, err := os.Stat(local)
	if err != nil {
		return notFound(local, err)
	}
	add := func(name, path string, info fs.FileInfo) error {
		format, err := in.format(name, format)
		if err != nil {
			return err
		}
		in.files = append(in.files, localFile(name, path, format, info.Size()))
		if dated {
			in.about += fmt.Sprintf("%q %d\n", path, info.ModTime().UnixNano())
		}
		return nil
	}
	if !info.IsDir() {
		return add(filepath.Base(local), local, info)
	}
	err = filepath.WalkDir(local, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if path != local && isHidden(d.Name()) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			return nil
		}
		info, err := os.Stat(path) // of what a link leads to
		if err != nil {
			return err
		}
		name, err := filepath.Rel(local, path)
		if err != nil || info.IsDir() {
			return err
		}
		return add(filepath.ToSlash(name), path, info)
	})
	if err == nil && len(in.files) == 0 {
		err = usagef("the folder %s holds no file of rows", local)
	}
	return err
}

func isHidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// addPlace adds a file of an object store, or the files of a folder there.
func (in *batchInput) addPlace(ctx context.Context, uri, format string, o artifact.CloudOptions) error {
	place, err := artifact.OpenPlace(ctx, uri, o)
	if err != nil {
		return err
	}
	in.close = func() { place.Close() }
	files, err := place.Files(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if len(files) > 1 && slices.ContainsFunc(strings.Split(f.Name, "/"), isHidden) {
			continue
		}
		format, err := in.format(f.Name, format)
		if err != nil {
			return err
		}
		in.about += fmt.Sprintf("%q %d\n", f.Name, f.MTime.UnixNano())
		in.files = append(in.files, endpoint.BatchFile{Name: f.Name, Format: format, Size: f.Size, Open: func(ctx context.Context) (io.ReadSeekCloser, error) {
			return place.Open(ctx, f)
		}})
	}
	if len(in.files) == 0 {
		return usagef("%s holds no file of rows", uri)
	}
	return nil
}

// download brings an artifact of a run, a model or the artifact proxy to this machine.
func (in *batchInput) download(ctx context.Context, a *app, uri string) (string, error) {
	t, err := a.open(ctx)
	if err != nil {
		return "", err
	}
	defer t.close()
	dir, err := os.MkdirTemp("", "weir-rows-")
	if err != nil {
		return "", err
	}
	in.close = func() { os.RemoveAll(dir) }
	local, err := t.Client.DownloadArtifacts(ctx, uri, dir)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(dir))
	}
	return local, nil
}

// checkOutput refuses names into which no predictions can be written, before a model is fetched and started for them.
func (a *app) checkOutput(out string) error {
	format := endpoint.FormatOf(out)
	cloud := artifact.IsCloudURI(out)
	if outputFormat(out, nil) == "" && (cloud || format != "") {
		return usagef("--output-path %s: predictions are written as .csv, .jsonl or .parquet", out)
	}
	if cloud || out == "" || out == "-" {
		return nil
	}
	if _, ok := mlflow.LocalPath(out); !ok {
		return usagef("--output-path %s: predictions are written to a file or an object store", out)
	}
	if info, err := os.Stat(a.abs(out)); err == nil && info.IsDir() {
		return usagef("--output-path %s is a folder: name a file", out)
	}
	return nil
}

// outputFormat gives the format of what a batch writes, by its name; "" when the name asks for no batch.
func outputFormat(out string, in *batchInput) string {
	switch path.Ext(strings.ToLower(out)) {
	case ".csv":
		return "csv"
	case ".jsonl", ".ndjson":
		return "jsonl"
	case ".parquet", ".pqt":
		return "parquet"
	}
	if out == "-" && in != nil && len(in.files) > 0 && in.files[0].Format == "jsonl" {
		return "jsonl"
	}
	return map[bool]string{true: "csv"}[out == "-"]
}
