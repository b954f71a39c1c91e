package api

import (
	"context"
	"io"
	"runtime/debug"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/weir-ml/weir/mlflow"
)

// A budget bounds the memory of large requests. However many clients send them at once, the process holds so much of them;
// the others wait, their bodies in the network. What a request claims it keeps until it is answered. Those that read never
// wait for more bytes, and those that have claimed values read no more, so nobody waits for a slow client but whoever wants
// to send much.
type budget struct {
	bytes   *semaphore.Weighted // of bodies that are larger than keptBuffer
	values  *semaphore.Weighted // of bodies that hold more than fewValues
	answers *semaphore.Weighted // bytes of answers that are larger than largeAnswer
	letGo   atomic.Int64        // claimed bytes since memory last went back
}

func newBudget() *budget {
	return &budget{
		bytes: semaphore.NewWeighted(batchBodyLimit), values: semaphore.NewWeighted(2 * maxValues), answers: semaphore.NewWeighted(answersLimit),
	}
}

// ofProcess is the budget of all routers: there is one memory.
var ofProcess = newBudget()

const (
	claimWait = time.Minute // then the client is told to come again
	fewValues = 5_000

	slowStart = 30 * time.Second // after which a large body has to have come …
	slowRate  = 64 << 10         // … at so many bytes a second

	collectAfter = 32 << 20 // claimed bytes that were let go before their memory goes back

	largeAnswer  = 1 << 20
	answersLimit = 256 << 20
	answerWait   = 500 * time.Millisecond // short: an answer that waits is in memory already
)

// A claim is what one request holds of a budget.
type claim struct {
	of                     *budget
	bytes, values, answers int64
	answered               int64 // bytes of a large answer, given or not
}

// read takes room for a body of n bytes, which is about to be read, and for what it is read into.
func (c *claim) read(ctx context.Context, n int64) error {
	n = min(2*n, batchBodyLimit) // the largest ones come alone
	if err := wait(ctx, c.of.bytes, n); err != nil {
		return err
	}
	c.bytes = n
	return nil
}

// build takes room for the values of a body that was read.
func (c *claim) build(ctx context.Context, n int64) error {
	if n <= fewValues {
		return nil
	}
	if err := wait(ctx, c.of.values, n); err != nil {
		return err
	}
	c.values = n
	return nil
}

// answer takes room for an answer of n bytes until its client has read it. Clients that do not read theirs would otherwise
// fill the memory with large ones.
func (c *claim) answer(ctx context.Context, n int) error {
	if n <= largeAnswer {
		return nil
	}
	claimed := min(int64(n), answersLimit)
	c.answered = claimed
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	if c.of.answers.Acquire(ctx, claimed) != nil {
		return mlflow.Errorf(mlflow.CodeRequestLimitExceeded, "clients are still reading other large answers; ask again, or for smaller pages")
	}
	c.answers = claimed
	return nil
}

func wait(ctx context.Context, room *semaphore.Weighted, n int64) error {
	if room.TryAcquire(n) {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, claimWait)
	defer cancel()
	if room.Acquire(ctx, n) != nil {
		return mlflow.Errorf(mlflow.CodeRequestLimitExceeded, "the server is busy with other large requests; send this one again, or in parts")
	}
	return nil
}

// release gives back what the request held. Go would keep the memory for the next one, and take as much again before it
// looks for what is no longer used; so once much has come together, it is collected before others are let in.
func (c *claim) release() {
	if c.values > 0 {
		c.of.values.Release(c.values)
	}
	if c.answers > 0 {
		c.of.answers.Release(c.answers)
	}
	let := c.bytes
	if c.answered >= collectAfter { // smaller ones come often, and are collected as they come
		let += c.answered
	}
	if let == 0 {
		return
	}
	if c.of.letGo.Add(let) < collectAfter {
		c.of.bytes.Release(c.bytes)
		return
	}
	c.of.letGo.Store(0)
	go func() {
		debug.FreeOSMemory()
		c.of.bytes.Release(c.bytes)
	}()
}

// paced is a large body, which must not come too slowly: others wait for it.
type paced struct {
	io.Reader
	begin time.Time
	n     int64
}

func (p *paced) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.n += int64(n)
	if allowed := slowStart + time.Duration(p.n/slowRate)*time.Second; err == nil && time.Since(p.begin) > allowed {
		err = errTooSlow
	}
	return n, err
}

var errTooSlow = mlflow.Errorf(mlflow.CodeBadRequest, "the request body comes too slowly; send it in parts")
