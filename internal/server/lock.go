package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// lockInfo is what a server that was started for a store writes into the lock file, for the clients of this host to find
// it and for those of others to be told. The file is readable by its owner only: it holds the token.
type lockInfo struct {
	Host      string    `json:"host"`
	PID       int       `json:"pid"`
	URL       string    `json:"url"`
	Token     string    `json:"token"`
	Version   string    `json:"version"`
	Heartbeat time.Time `json:"heartbeat"`
}

const (
	heartbeatEvery = 5 * time.Second
	// staleAfter is the age of a heartbeat from which another host's server counts as gone. On this host the operating
	// system's lock decides instead, at once and whatever the clocks say.
	staleAfter = 30 * time.Second
)

// errBusy says that another process of this host holds the lock.
var errBusy = errors.New("another server for this store is running")

// foreignError says that a server on another host works on the store.
type foreignError struct {
	store Store
	info  lockInfo
}

func (e *foreignError) Error() string {
	return fmt.Sprintf("%s is in use by the Weir server on host %s (pid %d); to share it, run "+
		"`weir server --backend-store-uri %s --host 0.0.0.0 --allow-unauthenticated` on %s and set MLFLOW_TRACKING_URI=http://%s:5000",
		e.store, e.info.Host, e.info.PID, e.store, e.info.Host, e.info.Host)
}

// foreign reports whether info was written by a live server of another host.
func (info lockInfo) foreign(host string, now time.Time) bool {
	return info.Host != "" && info.Host != host && now.Sub(info.Heartbeat) < staleAfter
}

// storeLock is the held lock of a store. The operating system gives it back when the process ends, however it ends.
type storeLock struct {
	file *os.File
	info lockInfo
	stop chan struct{}
	done chan struct{}
}

// acquireLock takes the store's lock. Clients hold it for an instant to see whether a server lives, so a held lock is
// tried again a few times before errBusy.
func acquireLock(store Store, host string) (*storeLock, error) {
	f, err := openLock(store)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		if err = tryLock(f); err == nil {
			break
		}
		if !errors.Is(err, errBusy) || try == 20 {
			f.Close()
			return nil, err
		}
		time.Sleep(5 * time.Millisecond)
	}
	if info, err := readLock(f); err == nil && info.foreign(host, time.Now()) {
		f.Close()
		return nil, &foreignError{store, info}
	}
	// What a server left that was killed must not be taken for ours.
	if err := f.Truncate(0); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s: %w", f.Name(), err)
	}
	return &storeLock{file: f, info: lockInfo{Host: host, PID: os.Getpid()}}, nil
}

// checkForeign refuses a store on which a server of another host works: beside that one, only servers of its own host may.
func checkForeign(store Store, host string) error {
	f, err := os.Open(store.LockPath())
	if err != nil {
		return nil // no server was ever started for the store, or it is another user's, who is on this host then
	}
	defer f.Close()
	if info, err := readLock(f); err == nil && info.foreign(host, time.Now()) {
		return &foreignError{store, info}
	}
	return nil
}

func openLock(store Store) (*os.File, error) {
	path := store.LockPath()
	f, err := openOwn(path, os.O_RDWR)
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%s belongs to another user, whose server works on the store; "+
			"share it through a server that listens for both (`weir server --backend-store-uri %s`)", path, store)
	}
	if err != nil {
		return nil, fmt.Errorf("open the store's lock: %w", err)
	}
	return f, nil
}

// publish tells clients where the server is, and goes on telling that it lives until release.
func (l *storeLock) publish(url, token, version string) error {
	l.info.URL, l.info.Token, l.info.Version = url, token, version
	if err := l.beat(); err != nil {
		return err
	}
	l.stop, l.done = make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.done)
		tick := time.NewTicker(heartbeatEvery)
		defer tick.Stop()
		for {
			select {
			case <-l.stop:
				return
			case <-tick.C:
				_ = l.beat() // a full disk must not end the server; other hosts then see a stale lock
			}
		}
	}()
	return nil
}

func (l *storeLock) beat() error {
	l.info.Heartbeat = time.Now().UTC().Truncate(time.Second) // one length: a reader never sees half of a longer text
	data, err := json.Marshal(l.info)
	if err != nil {
		return err
	}
	if _, err := l.file.WriteAt(append(data, '\n'), 0); err != nil {
		return fmt.Errorf("write %s: %w", l.file.Name(), err)
	}
	return nil
}

// release empties the file and gives the lock back. The file stays: removing it would let two servers hold "the" lock.
func (l *storeLock) release() {
	if l.stop != nil {
		close(l.stop)
		<-l.done
	}
	_ = l.file.Truncate(0)
	l.file.Close()
}

func readLock(f *os.File) (lockInfo, error) {
	var info lockInfo
	data, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<16))
	if err != nil {
		return info, err
	}
	return info, json.Unmarshal(data, &info)
}
