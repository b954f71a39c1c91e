package endpoint

import (
	"errors"
	"fmt"
	"time"
)

// errWorn is behind the replacement of a worker that did its share.
var errWorn = errors.New("it is worn out")

// keepSpare keeps one worker ready beside those that serve, so that the place of one that dies or wears out is taken
// at once. It starts after the first worker is ready: the first requests come before the spare.
func (e *Endpoint) keepSpare() {
	defer e.slots.Done()
	select {
	case <-e.ready:
	case <-e.ctx.Done():
		return
	}
	for fault := 0; e.ctx.Err() == nil; {
		w, err := e.launch.startWorker(e.ctx)
		if err != nil {
			if e.ctx.Err() == nil {
				e.cfg.Logger.Warn("r_spare_start", "error", err.Error())
			}
			fault++
			if !e.pause(fault) {
				return
			}
			continue
		}
		fault = 0
		e.spareWorkers.Add(1)
		select {
		case e.spares <- w:
			e.spareWorkers.Add(-1)
		case <-w.exited:
			e.spareWorkers.Add(-1)
			w.stop(0)
			if !e.pause(1) {
				return
			}
		case <-e.ctx.Done():
			w.stop(2 * time.Second)
			return
		}
	}
}

// takeSpare gives the spare worker when there is one that lives.
func (e *Endpoint) takeSpare() *worker {
	select {
	case w := <-e.spares:
		if !w.dead() {
			return w
		}
		w.stop(0)
	default:
	}
	return nil
}

// worn says why a worker should be replaced although it works, or nil. Its memory is looked at once in many requests.
func (e *Endpoint) worn(w *worker) error {
	if most := e.cfg.MaxRequests; most > 0 && w.requests >= most {
		return fmt.Errorf("%w: it did %d requests", errWorn, w.requests)
	}
	const every = 16
	if most := e.cfg.MaxMemory; most > 0 && w.calls%every == 0 {
		if used := memory(w.cmd.Process.Pid); used > most {
			return fmt.Errorf("%w: it holds %d MB", errWorn, used>>20)
		}
	}
	return nil
}
