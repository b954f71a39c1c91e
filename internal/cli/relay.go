package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/weir-ml/weir/mlflow"
)

const (
	relayPoll  = 20 * time.Millisecond  // how soon a new line is seen
	relayGrace = 30 * time.Second       // how long a server may be away once the session has ended
	relayPause = 200 * time.Millisecond // between attempts, beside the client's own pauses
	relayBatch = 1000                   // metrics in one request
)

// relayCommand sends what an R session appends to a file, while R is busy with a fit, until the
// session is over. FILE.sent holds the bytes that the server has taken,
// FILE.err what it refused for good. A file that could not be delivered stays for mlflow_sync().
func (a *app) relayCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "relay FILE",
		Short: "Send the metrics that an R session writes to a file, until the session ends",
		Args:  oneArg,
	}
	watch := a.session(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		// An interrupt at R's prompt reaches its children, too; it is not meant for them.
		ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
		defer cancel()
		t, err := a.open(ctx)
		if err != nil {
			return err
		}
		defer t.close()
		file, err := os.Open(a.abs(args[0]))
		if err != nil {
			return err
		}
		defer file.Close()
		ended := watch(ctx)
		go func() {
			<-ended
			select {
			case <-time.After(relayGrace):
				cancel()
			case <-ctx.Done():
			}
		}()
		r := &relay{send: t.LogBatch, file: file, ended: ended}
		return r.run(ctx)
	}
	return a.trackingFlags(cmd)
}

// relay follows one file.
type relay struct {
	send  func(context.Context, *mlflow.LogBatchRequest) error
	file  *os.File
	ended <-chan struct{}
	sent  int64 // bytes that are done with
	rest  []byte
}

// relayLine is a metric with its run; the first line of a file and others that are no metrics have no key.
type relayLine struct {
	RunID string `json:"run_id"`
	mlflow.Metric
}

func (r *relay) run(ctx context.Context) error {
	tick := time.NewTicker(relayPoll)
	defer tick.Stop()
	over := false
	for {
		more, err := r.step(ctx)
		switch {
		case err != nil:
			return err
		case more:
			continue
		case over: // one look after the end, for what came just before it
			return r.remove()
		}
		select {
		case <-r.ended:
			over = true
		case <-tick.C:
		}
	}
}

// step reads what is new and sends it; more is false when there was nothing.
func (r *relay) step(ctx context.Context) (more bool, err error) {
	chunk := make([]byte, 1<<18)
	n, err := r.file.Read(chunk)
	if n == 0 {
		if err == io.EOF {
			err = nil
		}
		return false, err
	}
	r.rest = append(r.rest, chunk[:n]...)
	for {
		lines, size, err := takeLines(r.rest)
		if err != nil || size == 0 {
			return true, err
		}
		if err := r.deliver(ctx, lines); err != nil {
			return true, err
		}
		r.rest = r.rest[size:]
		r.sent += int64(size)
		if err := r.note(); err != nil {
			return true, err
		}
	}
}

// takeLines decodes at most a request's worth of whole lines from the start of data, and gives their size in bytes.
func takeLines(data []byte) (lines []relayLine, size int, err error) {
	for len(lines) < relayBatch {
		end := bytes.IndexByte(data[size:], '\n')
		if end < 0 {
			break
		}
		var line relayLine
		if err := json.Unmarshal(data[size:size+end], &line); err != nil {
			return nil, 0, fmt.Errorf("read a line of the file: %w", err)
		}
		if line.Key != "" {
			lines = append(lines, line)
		}
		size += end + 1
	}
	return lines, size, nil
}

// deliver sends lines run by run. Points that arrive twice are one point, so a repetition does no harm.
func (r *relay) deliver(ctx context.Context, lines []relayLine) error {
	for len(lines) > 0 {
		run := lines[0].RunID
		n := slices.IndexFunc(lines, func(l relayLine) bool { return l.RunID != run })
		if n < 0 {
			n = len(lines)
		}
		if err := r.batch(ctx, lines[:n]); err != nil {
			return err
		}
		lines = lines[n:]
	}
	return nil
}

// batch sends lines of one run until the server answers. Of a batch that it refuses, each line is tried by itself.
func (r *relay) batch(ctx context.Context, lines []relayLine) error {
	req := &mlflow.LogBatchRequest{RunID: lines[0].RunID}
	for _, l := range lines {
		l.Metric.RunID = ""
		req.Metrics = append(req.Metrics, l.Metric)
	}
	for {
		err := r.send(ctx, req)
		switch {
		case err == nil:
			return nil
		case refused(err) && len(lines) > 1:
			for i := range lines {
				if err := r.batch(ctx, lines[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		case refused(err):
			return r.complain(lines[0], err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(relayPause):
		}
	}
}

// refused says whether an answer would be the same another time.
func refused(err error) bool {
	var e *mlflow.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code {
	case mlflow.CodeInvalidParameterValue, mlflow.CodeResourceDoesNotExist, mlflow.CodePermissionDenied:
		return true
	}
	return false
}

func (r *relay) complain(line relayLine, reason error) error {
	f, err := os.OpenFile(r.file.Name()+".err", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "metric %q of run %s: %v\n", line.Key, line.RunID, reason)
	return errors.Join(err, f.Close())
}

// note tells the session how far the server has come.
func (r *relay) note() error {
	name := r.file.Name() + ".sent"
	if err := os.WriteFile(name+".new", []byte(strconv.FormatInt(r.sent, 10)+"\n"), 0o600); err != nil {
		return err
	}
	return os.Rename(name+".new", name)
}

func (r *relay) remove() error {
	if len(r.rest) > 0 {
		return fmt.Errorf("the last line of %s is incomplete", r.file.Name())
	}
	_ = os.Remove(r.file.Name() + ".sent") // absent when nothing was sent
	return os.Remove(r.file.Name())
}
