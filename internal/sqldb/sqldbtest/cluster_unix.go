//go:build unix

package sqldbtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// cluster is a PostgreSQL server of this process, started when it is first needed.
type cluster struct {
	settings []string
	once     sync.Once
	dir      string
	err      error
	pipe     io.Closer // its end tells the keeper to stop the server
	next     atomic.Int64
}

var (
	volatile = cluster{settings: []string{"-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"}}
	durable  = cluster{}
)

// keeper runs the server ("$1"/postgres) on the folder "$2" until its own standard input ends.
const keeper = `
bin=$1 dir=$2
shift 2
"$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=300 -c shared_buffers=64MB "$@" >"$dir/log" 2>&1 &
server=$!
read -r never
kill -QUIT $server
wait $server
rm -rf "$dir"
`

// databaseURI makes a fresh database on the cluster.
func databaseURI(tb testing.TB, c *cluster) string {
	tb.Helper()
	c.once.Do(func() { c.err = c.start() })
	if c.err != nil {
		tb.Fatalf("a private PostgreSQL server is needed: %v", c.err)
	}
	name := "t" + strconv.FormatInt(c.next.Add(1), 10)
	if err := c.admin(context.Background(), `create database `+name+` template template0`); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.admin(context.Background(), `drop database if exists `+name+` with (force)`); err != nil {
			tb.Errorf("drop database: %v", err)
		}
	})
	return c.uri(name)
}

func (c *cluster) uri(name string) string {
	return "postgresql://postgres@/" + name + "?host=" + url.QueryEscape(c.dir)
}

func (c *cluster) admin(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, c.uri("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

func (c *cluster) start() error {
	bin, err := binaries()
	if err != nil {
		return err
	}
	attr, err := identity()
	if err != nil {
		return err
	}
	c.dir, err = os.MkdirTemp("", "weir-pg-")
	if err != nil {
		return err
	}
	if attr.Credential != nil {
		if err := os.Chown(c.dir, int(attr.Credential.Uid), int(attr.Credential.Gid)); err != nil {
			return err
		}
	}
	if err := c.initdb(bin, attr); err != nil {
		os.RemoveAll(c.dir)
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	keep := exec.Command("/bin/sh", append([]string{"-c", keeper, "sh", bin, c.dir}, c.settings...)...)
	keep.Stdin, keep.Dir, keep.SysProcAttr = read, c.dir, attr
	if err := keep.Start(); err != nil {
		write.Close()
		os.RemoveAll(c.dir)
		return err
	}
	c.pipe = write
	go reap(keep)
	return c.ready()
}

// reap waits for the server's shell, which lives as long as the test process. Tests that look for goroutines that are left
// over know it by its name.
func reap(keep *exec.Cmd) { _ = keep.Wait() }

// initdb sorts by ICU's English where this PostgreSQL has ICU.
func (c *cluster) initdb(bin string, attr *syscall.SysProcAttr) error {
	data := filepath.Join(c.dir, "data")
	base := []string{"-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"}
	var out []byte
	var err error
	for _, extra := range [][]string{{"--locale-provider=icu", "--icu-locale=en"}, nil} {
		cmd := exec.Command(filepath.Join(bin, "initdb"), append(base, extra...)...)
		cmd.Dir, cmd.SysProcAttr = c.dir, attr
		if out, err = cmd.CombinedOutput(); err == nil {
			return nil
		}
		os.RemoveAll(data)
	}
	return fmt.Errorf("initdb: %w\n%s", err, out)
}

// ready waits until the server answers.
func (c *cluster) ready() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		err := c.admin(ctx, `select 1`)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(c.dir, "log"))
			c.pipe.Close()
			return fmt.Errorf("the server does not answer: %w\n%s", err, log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// identity starts processes in a session of their own, so that Ctrl-C reaches the test alone, and as another user when
// this one is root, whom PostgreSQL refuses.
func identity() (*syscall.SysProcAttr, error) {
	attr := &syscall.SysProcAttr{Setsid: true}
	if os.Getuid() != 0 {
		return attr, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		account, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(account.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(account.Gid, 10, 32)
		if uerr == nil && gerr == nil {
			attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
			return attr, nil
		}
	}
	return nil, errors.New("there is no user postgres or nobody to run it")
}

// binaries finds the folder of initdb and postgres, the newest of several.
func binaries() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		if _, err := os.Stat(filepath.Join(filepath.Dir(path), "postgres")); err == nil {
			return filepath.Dir(path), nil
		}
	}
	var found []string
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin"} {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			if _, err := os.Stat(filepath.Join(dir, "initdb")); err == nil {
				found = append(found, dir)
			}
		}
	}
	if len(found) == 0 {
		return "", errors.New("no initdb found; run: sudo apt-get install -y postgresql")
	}
	sort.Strings(found)
	return found[len(found)-1], nil
}
