package server

import (
	"testing"
	"testing/synctest"
	"time"
)

func ended(l *leases) bool {
	synctest.Wait()
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

func TestLeasesWaitForTheFirstClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(time.Minute, 10*time.Second)
		time.Sleep(59 * time.Second)
		if ended(l) {
			t.Fatal("ended before a client could come")
		}
		time.Sleep(2 * time.Second)
		if !ended(l) {
			t.Fatal("lives although no client came")
		}
		if l.enter(false) {
			t.Fatal("takes requests after its end")
		}
	})
}

func TestLeasesEndSomeSecondsAfterTheLastOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(time.Minute, 10*time.Second)
		l.enter(true)
		l.enter(true)
		time.Sleep(time.Hour)
		l.leave()
		time.Sleep(time.Hour)
		if ended(l) {
			t.Fatal("ended while a client held a lease")
		}
		l.leave()
		time.Sleep(9 * time.Second)
		if !l.enter(true) {
			t.Fatal("ended before the grace was over")
		}
		l.leave()
		time.Sleep(9 * time.Second)
		if ended(l) {
			t.Fatal("a new lease did not begin the grace anew")
		}
		time.Sleep(2 * time.Second)
		if !ended(l) {
			t.Fatal("lives on after the last lease")
		}
	})
}

func TestRequestsWithoutALeaseKeepTheServerToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(time.Minute, 10*time.Second)
		for range 20 { // a browser whose page asks now and then
			time.Sleep(9 * time.Second)
			if !l.enter(false) {
				t.Fatal("ended between two requests")
			}
			l.leave()
		}
		time.Sleep(11 * time.Second)
		if !ended(l) {
			t.Fatal("lives on after the last request")
		}
	})
}

func TestAStoppedServerTakesNoRequests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLeases(0, 0)
		l.enter(true)
		l.stop()
		l.leave()
		if l.enter(false) {
			t.Fatal("takes requests")
		}
	})
}
