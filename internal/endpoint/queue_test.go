package endpoint

import (
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weir-ml/weir/internal/model"
)

func alone(string) (jobs, rows int) { return 1, 0 }

// TestTheLastSeatIsWokenFirst sits down in two seats and pushes jobs.
func TestTheLastSeatIsWokenFirst(t *testing.T) {
	t.Parallel()
	q := newQueue(10)
	first, last := newSeat(), newSeat()
	q.sit(first)
	q.sit(last)
	q.push(&job{})
	if len(first.wake) != 0 || len(last.wake) != 1 {
		t.Fatalf("%d and %d wakes", len(first.wake), len(last.wake))
	}
	q.rise(last) // it got up for another reason, so the first one has to look
	if len(first.wake) != 1 || len(last.wake) != 0 {
		t.Fatalf("%d and %d wakes", len(first.wake), len(last.wake))
	}
	q.sit(last) // a job that nobody took yet wakes who sits down
	if len(last.wake) != 1 {
		t.Fatal("it was not woken")
	}
	if <-last.wake; len(q.pop(alone)) != 1 || len(q.idle) != 0 {
		t.Fatal("the job is gone, or a seat is taken twice")
	}
	q.sit(last)
	q.rise(last)
	if q.push(&job{}); len(last.wake) != 0 {
		t.Error("nobody sits there")
	}
}

// TestNoJobIsLeftWhileASlotSits has slots that sometimes get up without looking take what many push.
func TestNoJobIsLeftWhileASlotSits(t *testing.T) {
	t.Parallel()
	const slots, pushers, each = 4, 8, 2000
	q := newQueue(pushers * each)
	var taken atomic.Int64
	end, all := make(chan struct{}), make(chan struct{})
	restless := make(chan struct{}, 1)
	var busy, pushing sync.WaitGroup
	for range slots {
		busy.Go(func() {
			s := newSeat()
			for {
				q.sit(s)
				select {
				case <-end:
					q.rise(s)
					return
				case <-restless:
					q.rise(s)
					continue
				case <-s.wake:
				}
				if n := len(q.pop(alone)); n > 0 && taken.Add(int64(n)) == pushers*each {
					close(all)
				}
			}
		})
	}
	for range pushers {
		pushing.Go(func() {
			for i := range each {
				q.push(&job{in: &model.Input{}})
				if i%7 == 0 {
					select {
					case restless <- struct{}{}:
					default:
					}
				}
			}
		})
	}
	pushing.Wait()
	<-all
	close(end)
	busy.Wait()
	if len(q.idle) != 0 {
		t.Errorf("%d seats are left", len(q.idle))
	}
}
