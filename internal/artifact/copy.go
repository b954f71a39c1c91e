package artifact

import (
	"context"
	"errors"
	"sync"

	"github.com/weir-ml/weir/mlflow"
)

// copiers is how many files are copied at once: each waits for the disk several times.
const copiers = 8

// CopyTo copies every file into another store, streaming, and records it there. A file whose record does not agree with it
// is not copied, and found is called with it, maybe from several goroutines; with exact set the record alone counts, else
// a file that was changed by its owner since it was put is as good as any. A file that is deleted meanwhile is left out.
// Both stores may be on one database, whose records are then those of the copies: records of files that are not among them
// are dropped.
func (s *Store) CopyTo(ctx context.Context, to *Store, exact bool, found func(path, what string)) (copied Tree, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	keys := make(chan string)
	var group sync.WaitGroup
	var mu sync.Mutex
	damaged := map[string]bool{}
	for range copiers {
		group.Go(func() {
			for key := range keys {
				size, what, err := s.copyFile(ctx, to, key, exact)
				if err != nil {
					cancel(err)
					continue
				}
				mu.Lock()
				switch {
				case what != "":
					damaged[key] = true
					found(key, what)
				case size >= 0:
					copied.Files++
					copied.Bytes += size
				}
				mu.Unlock()
			}
		})
	}
	err = s.walk(ctx, "", func(key string, _ int64) error {
		select {
		case keys <- key:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	close(keys)
	group.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return copied, err
	}
	return copied, to.eachRow(ctx, func(r fileRow) error {
		if damaged[r.key] {
			return nil // whoever checks the copy is to learn of it
		}
		o, err := to.bucket.open(ctx, r.key)
		if err == nil {
			return o.Close()
		}
		if mlflow.CodeOf(err) != mlflow.CodeResourceDoesNotExist {
			return err
		}
		if exact {
			found(r.key, "is missing")
			return nil
		}
		return to.forget(ctx, r.key)
	})
}

// copyFile copies one file. Its size is negative when there is none any more; what says why it was not copied.
func (s *Store) copyFile(ctx context.Context, to *Store, key string, exact bool) (size int64, what string, err error) {
	if _, err := keyOfText(key); err != nil {
		return -1, "has a name that no artifact can have", nil
	}
	expect := Expect{Size: -1}
	if exact {
		r, there, err := s.row(ctx, key)
		if err != nil {
			return 0, "", err
		}
		if there {
			expect = Expect{Size: r.size, SHA256: r.sha256[:]}
		}
	}
	o, err := s.bucket.open(ctx, key)
	if mlflow.CodeOf(err) == mlflow.CodeResourceDoesNotExist {
		return -1, "", nil
	}
	if err != nil {
		return 0, "", err
	}
	defer o.Close()
	if !exact {
		sum, known, err := s.digestOf(ctx, key, o.stored)
		if mlflow.CodeOf(err) == mlflow.CodeDataCorrupt {
			return 0, err.Error(), nil
		}
		if err != nil {
			return 0, "", err
		}
		if known {
			expect.SHA256 = sum
		}
	}
	info, err := to.put(ctx, key, o, expect)
	var fault *mlflow.Error
	if errors.As(err, &fault) && fault.Code == mlflow.CodeInvalidParameterValue {
		return 0, fault.Message, nil
	}
	return info.Size, "", err
}
