package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// cluster is a private PostgreSQL server with its default settings, durable ones too.
type cluster struct {
	bin, dir  string
	attr      *syscall.SysProcAttr
	server    *exec.Cmd
	databases map[string]bool
}

func startPostgres() (*cluster, error) {
	c := &cluster{databases: make(map[string]bool), attr: &syscall.SysProcAttr{Setpgid: true}}
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil { // its neighbours stand where it really is
			found = []string{path}
		}
	}
	if len(found) == 0 {
		return nil, errors.New("PostgreSQL is not installed: initdb is not found")
	}
	c.bin = filepath.Dir(slices.Max(found))
	var err error
	if c.dir, err = os.MkdirTemp("", "weir-bench-pg"); err != nil {
		return nil, err
	}
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		if err := c.asPostgres(); err != nil {
			return nil, err
		}
	}
	if err := c.command("initdb", "-D", c.dir+"/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C").Run(); err != nil {
		c.stop()
		return nil, fmt.Errorf("initdb: %w", err)
	}
	c.server = c.command("postgres", "-D", c.dir+"/data", "-k", c.dir, "-c", "listen_addresses=")
	if err := c.server.Start(); err != nil {
		c.stop()
		return nil, err
	}
	running.Store(c.server.Process.Pid, true)
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		out, err := c.command("psql", "-h", c.dir, "-U", "postgres", "-c", "select 1").CombinedOutput()
		if err == nil {
			return c, nil
		}
		if time.Since(begin) > 30*time.Second {
			c.stop()
			return nil, fmt.Errorf("PostgreSQL does not start: %w: %s", err, out)
		}
	}
}

func (c *cluster) asPostgres() error {
	u, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	c.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return os.Chown(c.dir, uid, gid)
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(c.bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = c.dir, c.attr
	return cmd
}

// database gives the URI of the database that belongs to a folder, which it makes the first time.
func (c *cluster) database(dir string) (string, error) {
	name := filepath.Base(dir)
	if !c.databases[name] {
		if out, err := c.command("createdb", "-h", c.dir, "-U", "postgres", name).CombinedOutput(); err != nil {
			return "", fmt.Errorf("createdb: %w: %s", err, out)
		}
		c.databases[name] = true
	}
	return "postgresql://postgres@/" + name + "?host=" + url.QueryEscape(c.dir), nil
}

func (c *cluster) stop() {
	if c.server != nil && c.server.Process != nil {
		_ = c.server.Process.Signal(syscall.SIGINT) // fast shutdown
		_ = c.server.Wait()
		running.Delete(c.server.Process.Pid)
	}
	os.RemoveAll(c.dir)
}
