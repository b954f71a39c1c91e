package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// conn is an HTTP/1.1 client that costs less than the server it measures: one connection, no parsing beyond the length.
type conn struct {
	c    net.Conn
	r    *bufio.Reader
	host string
	out  []byte
}

func dial(host string) (*conn, error) {
	c, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	return &conn{c: c, r: bufio.NewReaderSize(c, 64<<10), host: host}, nil
}

// post sends body and gives the answer's body; any status but 200 is an error.
func (c *conn) post(path string, body []byte) ([]byte, error) {
	c.out = fmt.Appendf(c.out[:0], "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path, c.host, len(body))
	c.out = append(c.out, body...)
	var answer bytes.Buffer
	err := c.call(&answer)
	return answer.Bytes(), err
}

// get reads an answer without keeping it: it may be large.
func (c *conn) get(path string) error {
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, c.host)
	return c.call(io.Discard)
}

func (c *conn) call(answer io.Writer) error {
	if _, err := c.c.Write(c.out); err != nil {
		return err
	}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		line, _, _ := strings.Cut(string(c.out), " HTTP/")
		return fmt.Errorf("%s: %d %s", line, resp.StatusCode, bytes.TrimSpace(text))
	}
	_, err = io.Copy(answer, resp.Body)
	return err
}

// load runs one request after the other on each of n connections for a time and gives requests a second and the median
// of their durations in milliseconds. work makes the requests of one client.
func load(host string, n int, d time.Duration, work func(client int) func(c *conn, i int) error) (perSecond, p50 float64, err error) {
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		times []time.Duration
		first error
	)
	begin := time.Now()
	for client := range n {
		wg.Go(func() {
			var mine []time.Duration
			err := func() error {
				c, err := dial(host)
				if err != nil {
					return err
				}
				defer c.c.Close()
				do := work(client)
				for i := 0; time.Since(begin) < d; i++ {
					start := time.Now()
					if err := do(c, i); err != nil {
						return err
					}
					mine = append(mine, time.Since(start))
				}
				return nil
			}()
			mu.Lock()
			defer mu.Unlock()
			times = append(times, mine...)
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if first != nil {
		return 0, 0, first
	}
	slices.Sort(times)
	return float64(len(times)) / took.Seconds(), float64(times[len(times)/2].Microseconds()) / 1000, nil
}

// between gives what stands in text after a mark up to the next quote.
func between(text, mark string) (string, error) {
	_, rest, ok := strings.Cut(text, mark)
	value, _, ok2 := strings.Cut(rest, `"`)
	if !ok || !ok2 {
		return "", fmt.Errorf("no %s in %q", mark, text)
	}
	return value, nil
}
