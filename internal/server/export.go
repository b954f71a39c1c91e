package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/weir-ml/weir/internal/transfer"
)

// ExportOptions say what Export does.
type ExportOptions struct {
	// Config names the store to export, as for a server.
	Config Config
	// File is the archive to write, "-" for Stdout. Its ending says how it is compressed.
	File   string
	Stdout io.Writer
	// Overwrite allows that the file is there already.
	Overwrite   bool
	Experiments []string // ids or names; all when empty
	Progress    func(runs, files int)
}

// Export writes the store that the Config names, or some experiments of it, to an archive that Import reads. Servers may
// work on the store meanwhile; what the archive says of it is one state of it. The file appears when it is whole.
func Export(ctx context.Context, o ExportOptions) (report *transfer.ExportReport, err error) {
	file := absolute(o.File, o.Config.Dir)
	if _, err := os.Stat(file); err == nil && o.File != "-" && !o.Overwrite {
		return nil, fmt.Errorf("%s is there already; choose another name, or say --overwrite", o.File)
	}
	s, err := openStore(ctx, o.Config, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	from := transfer.Store{
		Name: s.store.String(), DB: s.parts.db, Runs: s.parts.runs, Registry: s.parts.models, Files: importedFiles{s.parts.files},
	}
	do := transfer.ExportOptions{
		Experiments: o.Experiments, Program: "weir " + o.Config.Version, Now: time.Now(), Progress: o.Progress,
	}
	if o.File == "-" {
		return transfer.Export(ctx, from, o.Stdout, "-", do)
	}
	part, err := os.CreateTemp(filepath.Dir(file), ".weir-export-")
	if err != nil {
		return nil, err
	}
	defer os.Remove(part.Name()) // it is gone once it has its own name
	if report, err = transfer.Export(ctx, from, part, o.File, do); err == nil {
		err = part.Sync()
	}
	if err = errors.Join(err, part.Close()); err != nil {
		return nil, err
	}
	return report, os.Rename(part.Name(), file)
}
