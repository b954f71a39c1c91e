package endpoint

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/weir-ml/weir/mlflow"
)

// runSlot keeps one worker running and feeds it with jobs until the endpoint ends.
func (e *Endpoint) runSlot(slot int) {
	defer e.slots.Done()
	logger := e.cfg.Logger.With("slot", slot)
	if slot > 0 && !e.letFirst() {
		return
	}
	var next *worker
	for fault := 0; ; {
		w := next
		if next = nil; w == nil {
			w = e.takeSpare()
		}
		if w == nil {
			began := time.Now()
			var err error
			w, err = e.launch.startWorker(e.ctx)
			if slot == 0 {
				e.firstStart()
			}
			if e.ctx.Err() != nil {
				if w != nil {
					w.stop(0)
				}
				return
			}
			if err != nil {
				fault++
				e.startFaults.Add(1)
				if e.giveUp(err) {
					return
				}
				logger.Error("r_worker_start", "error", err.Error())
				if !e.pause(fault) {
					return
				}
				continue
			}
			e.cfg.Logger.Debug("r_worker_ready", "r_version", w.report.rVersion, "took", time.Since(began))
		}
		fault = 0
		e.noteReady(w)
		var reason error
		next, reason = e.serve(w)
		e.readyWorkers.Add(-1)
		if reason == nil { // the endpoint ends: the worker is idle and goes when its input ends
			w.stop(2 * time.Second)
			return
		}
		e.stats.replaced.Add(1)
		if errors.Is(reason, errWorn) {
			logger.Info("r_worker_replaced", "reason", reason.Error())
			e.slots.Add(1)
			go func() { // it is idle, and whoever comes next need not wait for its end
				defer e.slots.Done()
				w.stop(2 * time.Second)
			}()
			continue
		}
		w.stop(0)
		logger.Warn("r_worker_replaced", "reason", reason.Error())
	}
}

// firstAlone is how long the first worker starts alone. R processes that start together slow each other down, and the
// first one decides when the endpoint is ready.
const firstAlone = 300 * time.Millisecond

// letFirst waits until the first worker has started, for a while at most, and reports false when the endpoint ends.
func (e *Endpoint) letFirst() bool {
	timer := time.NewTimer(firstAlone)
	defer timer.Stop()
	select {
	case <-e.first:
	case <-timer.C:
	case <-e.ctx.Done():
		return false
	}
	return true
}

// noteReady counts a worker in and, the first time, says what was started.
func (e *Endpoint) noteReady(w *worker) {
	e.readyWorkers.Add(1)
	e.startFaults.Store(0)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.started() {
		return
	}
	e.join = w.report.join
	if b := e.model.Batchable; b != nil {
		e.join = joinNone
		if *b {
			e.join = joinAll
		}
	}
	for i, p := range e.model.RPackages {
		if i < len(w.report.versions) && p.Version != "" && w.report.versions[i] != p.Version {
			e.cfg.Logger.Warn("r_package_version", "package", p.Name, "logged_with", p.Version, "loaded", w.report.versions[i])
		}
	}
	if (e.launch.flavor == "crate" || e.launch.flavor == "rds") && !e.cfg.TrustModel && runsPromises(w.report.rVersion) {
		e.slots.Add(1)
		go e.warnOfPromises(w.report.rVersion)
	}
	close(e.ready)
}

// giveUp marks the endpoint as failed when no worker has ever been ready and each slot has tried: what they all meet at
// first (a missing package, a broken file) does not go away by trying again. Ready tells the reason.
func (e *Endpoint) giveUp(err error) bool {
	if e.started() || int(e.startFaults.Load()) < e.cfg.Workers {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.startErr == nil {
		e.startErr = err
		close(e.failed)
	}
	return true
}

// pause waits longer after each fault and reports false when the endpoint ends meanwhile.
func (e *Endpoint) pause(fault int) bool {
	timer := time.NewTimer(min(100*time.Millisecond<<min(fault, 8), 20*time.Second))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-e.ctx.Done():
		return false
	}
}

// serve feeds a worker until it must be replaced, for the reason that it returns, or the endpoint ends: nil. A worker
// that is only worn out goes on until its successor is there, when there is to be one.
func (e *Endpoint) serve(w *worker) (next *worker, reason error) {
	s := newSeat()
	for {
		if worn := e.worn(w); worn != nil {
			if next := e.takeSpare(); next != nil || e.cfg.Spares <= 0 {
				return next, worn
			}
		}
		e.queue.sit(s)
		select {
		case <-e.ctx.Done():
			e.queue.rise(s)
			return nil, nil
		case <-w.exited:
			e.queue.rise(s)
			return nil, fmt.Errorf("it ended while idle: %s", w.ending())
		case <-s.wake:
		}
		if w.dead() { // not this request's fault: another worker takes it
			e.queue.pass()
			return nil, fmt.Errorf("it ended while idle: %s", w.ending())
		}
		batch := e.queue.pop(e.room)
		if batch == nil {
			continue
		}
		batch = e.fill(s, batch)
		w.requests += len(batch)
		if broken := e.work(w, batch); broken != nil {
			return nil, broken
		}
	}
}

// fill waits in a seat for more requests to join, as long as the configuration allows.
func (e *Endpoint) fill(s *seat, batch []*job) []*job {
	if e.cfg.MaxBatchDelay <= 0 || batch[0].key == "" {
		return batch
	}
	timer := time.NewTimer(e.cfg.MaxBatchDelay)
	defer timer.Stop()
	for {
		rows := 0
		for _, j := range batch {
			rows += j.in.Rows
		}
		if most, limit := e.room(batch[0].key); len(batch) >= most || rows >= limit {
			return batch
		}
		e.queue.sit(s)
		select {
		case <-timer.C:
			e.queue.rise(s)
			return batch
		case <-e.ctx.Done():
			e.queue.rise(s)
			return batch
		case <-s.wake:
			was := len(batch)
			batch = e.queue.more(batch, e.room)
			if len(batch) == was { // it is for another slot, which more has woken
				return batch
			}
		}
	}
}

// work has a worker do jobs: together when there are several, each alone when that does not give every one its answer.
// Each job gets its outcome, or goes back to the queue when the worker breaks before its turn.
func (e *Endpoint) work(w *worker, batch []*job) (broken error) {
	e.running.Add(int32(len(batch)))
	defer e.running.Add(-int32(len(batch)))
	if len(batch) > 1 {
		done, broken := e.together(w, batch)
		if done {
			return broken
		}
		if broken != nil {
			e.putBack(batch)
			return broken
		}
	}
	for i, j := range batch {
		out, broken := e.alone(w, j)
		j.done <- out
		if broken != nil {
			e.putBack(batch[i+1:])
			return broken
		}
	}
	return nil
}

// putBack lets other workers have jobs that their first one broke down under.
func (e *Endpoint) putBack(jobs []*job) {
	if e.ctx.Err() != nil {
		for _, j := range jobs {
			j.done <- outcome{err: errStopping()}
		}
		return
	}
	if len(jobs) > 0 {
		e.queue.restore(jobs)
	}
}

// alone has a worker do one job.
func (e *Endpoint) alone(w *worker, j *job) (out outcome, broken error) {
	if !time.Now().Before(j.deadline) { // it was joined with others and put back; its client is about to give up
		return outcome{err: mlflow.Errorf(mlflow.CodeDeadlineExceeded, "no worker was free within %s", e.cfg.Timeout)}, nil
	}
	frame := j.frame
	if frame == nil {
		var err error
		if frame, err = encodeRequest(j.in); err != nil {
			return outcome{err: err}, nil
		}
	}
	payload, reply, broken := e.run(w, frame, j.deadline)
	return outcome{payload: payload, err: reply}, broken
}

// run has a worker predict. reply is the client's error; broken says why the worker cannot be used again.
func (e *Endpoint) run(w *worker, frame []byte, deadline time.Time) (payload []byte, reply, broken error) {
	stop := context.AfterFunc(e.ctx, w.kill) // Close waited as long as it may
	defer stop()
	w.calls++
	e.stats.calls.Add(1)
	began := time.Now()
	kind, payload, err := w.call(framePredict, frame, deadline)
	e.stats.predict.Add(time.Since(began))
	switch {
	case err == nil && kind == frameResult:
		return payload, nil, nil
	case err == nil && kind == frameError:
		m, err := decodeMessage(payload)
		if err == nil {
			return nil, &modelError{m}, nil
		}
		broken = err
	case err == nil:
		broken = fmt.Errorf("%w: kind %d instead of a result", errProtocol, kind)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, mlflow.Errorf(mlflow.CodeDeadlineExceeded, "the model did not answer within %s; its worker is replaced", e.cfg.Timeout),
			fmt.Errorf("it did not answer within %s", e.cfg.Timeout)
	default:
		broken = err
	}
	if errors.Is(broken, errProtocol) {
		return nil, mlflow.Errorf(mlflow.CodeBadGateway, "the %s worker answered what cannot be read; it is replaced", e.launch.language), broken
	}
	w.awaitExit(time.Second)
	if e.ctx.Err() != nil {
		return nil, errStopping(), broken
	}
	return nil, mlflow.Errorf(mlflow.CodeBadGateway, "the %s worker died while predicting (%s); it is replaced", e.launch.language, w.ending()),
		fmt.Errorf("it died while predicting: %s", w.ending())
}

// modelError is an R error that the model raised.
type modelError struct{ message }

func (e *modelError) Error() string { return e.text }
