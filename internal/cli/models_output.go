package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/weir-ml/weir/internal/artifact"
	"github.com/weir-ml/weir/internal/endpoint"
	"github.com/weir-ml/weir/mlflow"
)

// batchOutput is the file of a batch's predictions. It grows under a hidden name with a note of how far it is beside it,
// from which the same command goes on after it was ended, and gets its name when it is whole.
type batchOutput struct {
	*os.File
	part     string // where it grows
	note     string // what says how far it is
	target   string // a path, or the URI of an object store
	side     string // where rows that failed are listed
	rows     *os.File
	list     *bufio.Writer
	cloud    artifact.CloudOptions
	identity string
	kept     bool // there is a note
}

// savedBatch is what the note holds.
type savedBatch struct {
	Identity string              `json:"identity"`
	Side     int64               `json:"side"` // bytes of the list of failed rows
	State    endpoint.BatchState `json:"state"`
}

// errBusy says that a process is writing the same predictions.
var errBusy = errors.New("another process is writing it")

// createOutput opens the output, and gives the state of an earlier run of the same batch; nil when there is none.
func (a *app) createOutput(target, identity string, restart bool) (*batchOutput, *endpoint.BatchState, error) {
	o := &batchOutput{target: target, identity: identity, cloud: a.cloudOptions()}
	if artifact.IsCloudURI(target) {
		dir, err := cacheFolder()
		if err != nil {
			return nil, nil, fmt.Errorf("write the predictions: %w", err)
		}
		dir = filepath.Join(dir, "batches")
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, nil, fmt.Errorf("write the predictions: %w", err)
		}
		sum := sha256.Sum256([]byte(target))
		o.part = filepath.Join(dir, hex.EncodeToString(sum[:16]))
		o.side = o.part + ".failed.csv"
	} else {
		local, _ := mlflow.LocalPath(target) // checkOutput has seen to that
		o.target = a.abs(local)
		o.part = filepath.Join(filepath.Dir(o.target), "."+filepath.Base(o.target)+".weir-part")
		o.side = o.target + ".failed.csv"
	}
	o.note = o.part + ".json"
	if err := o.lock(); err != nil {
		return nil, nil, fmt.Errorf("write the predictions to %s: %w", target, err)
	}
	saved := o.read(restart)
	if saved == nil {
		saved = &savedBatch{}
		os.Remove(o.note)
		os.Remove(o.side)
	}
	err := o.Truncate(saved.State.Written)
	if err == nil {
		_, err = o.Seek(0, io.SeekEnd)
	}
	if err == nil && saved.Side > 0 {
		if err = os.Truncate(o.side, saved.Side); err == nil {
			err = o.openList()
		}
	}
	if err != nil {
		o.discard()
		return nil, nil, fmt.Errorf("write the predictions: %w", err)
	}
	if saved.State.Written == 0 && saved.State.Result.Rows == 0 {
		return o, nil, nil
	}
	return o, &saved.State, nil
}

// lock opens the growing file for this process alone.
func (o *batchOutput) lock() error {
	for {
		f, err := os.OpenFile(o.part, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		if endpoint.LockFile(f) != nil {
			f.Close()
			return errBusy
		}
		mine, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if there, err := os.Stat(o.part); err == nil && os.SameFile(mine, there) {
			o.File = f
			return nil
		}
		f.Close() // it got its name, or was removed, while this process waited for the lock
	}
}

// read gives the note of an earlier run when the file is as it says.
func (o *batchOutput) read(restart bool) *savedBatch {
	raw, err := os.ReadFile(o.note)
	if err != nil || restart {
		return nil
	}
	var saved savedBatch
	if json.Unmarshal(raw, &saved) != nil || saved.Identity != o.identity {
		return nil
	}
	info, err := o.Stat()
	if err != nil || info.Size() < saved.State.Written {
		return nil
	}
	if saved.Side > 0 {
		if info, err := os.Stat(o.side); err != nil || info.Size() < saved.Side {
			return nil
		}
	}
	o.kept = true
	return &saved
}

// save notes how far the batch is; everything before it is on disk.
func (o *batchOutput) save(state endpoint.BatchState) error {
	saved := savedBatch{Identity: o.identity, State: state}
	if o.list != nil {
		if err := errors.Join(o.list.Flush(), o.rows.Sync()); err != nil {
			return err
		}
		info, err := o.rows.Stat()
		if err != nil {
			return err
		}
		saved.Side = info.Size()
	}
	if err := o.Sync(); err != nil {
		return err
	}
	raw, err := json.Marshal(saved)
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.note+"~", raw, 0o600); err != nil {
		return err
	}
	o.kept = true
	return os.Rename(o.note+"~", o.note)
}

func (o *batchOutput) openList() error {
	f, err := os.OpenFile(o.side, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	o.rows, o.list = f, bufio.NewWriter(f)
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		_, _ = o.list.WriteString("file,row,error\n") // a fault shows when it is flushed
	}
	return nil
}

// failed lists a row without a prediction.
func (o *batchOutput) failed(file string, row int64, why string) error {
	if o.list == nil {
		if err := o.openList(); err != nil {
			return err
		}
	}
	var line bytes.Buffer
	w := csv.NewWriter(&line)
	if err := w.Write([]string{file, strconv.FormatInt(row, 10), why}); err != nil {
		return err
	}
	w.Flush()
	_, err := o.list.Write(line.Bytes())
	return err
}

// commit gives the output its name, and forgets how it came to be.
func (o *batchOutput) commit(ctx context.Context) error {
	if o.list != nil {
		if err := errors.Join(o.list.Flush(), o.rows.Close()); err != nil {
			return fmt.Errorf("list the rows that failed: %w", err)
		}
	}
	if err := o.Sync(); err != nil {
		return fmt.Errorf("write the predictions: %w", err)
	}
	if artifact.IsCloudURI(o.target) {
		return o.upload(ctx)
	}
	if err := o.Chmod(0o644); err != nil {
		return fmt.Errorf("write the predictions: %w", err)
	}
	if err := os.Rename(o.part, o.target); err != nil {
		return fmt.Errorf("write the predictions: %w", err)
	}
	o.kept = false
	return errors.Join(o.File.Close(), removeIfThere(o.note))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

func (o *batchOutput) upload(ctx context.Context) error {
	put := func(uri string, r io.Reader) error {
		place, err := artifact.OpenPlace(ctx, uri, o.cloud)
		if err != nil {
			return err
		}
		return errors.Join(place.Put(ctx, r), place.Close())
	}
	if _, err := o.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := put(o.target, o.File); err != nil {
		return fmt.Errorf("write the predictions to %s: %w", o.target, err)
	}
	if o.list != nil {
		f, err := os.Open(o.side)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := put(o.target+".failed.csv", f); err != nil {
			return fmt.Errorf("list the rows that failed: %w", err)
		}
	}
	o.kept = false
	o.discard()
	return nil
}

// failedRows names the list of rows that failed.
func (o *batchOutput) failedRows() string {
	if artifact.IsCloudURI(o.target) {
		return o.target + ".failed.csv"
	}
	return filepath.Base(o.side)
}

// discard ends the work on the output. What a note describes stays for a later run; after commit nothing is left to do.
func (o *batchOutput) discard() {
	if o.rows != nil {
		o.rows.Close()
	}
	if !o.kept {
		if mine, err := o.Stat(); err == nil {
			if there, err := os.Stat(o.part); err == nil && os.SameFile(mine, there) {
				os.Remove(o.part)
				if o.list != nil {
					os.Remove(o.side)
				}
				os.Remove(o.note)
			}
		}
	}
	o.File.Close()
}
