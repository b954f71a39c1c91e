package cli

import (
	"bufio"
	"context"
	"time"

	"github.com/shirou/gopsutil/v4/process"
	"github.com/spf13/cobra"
)

// sessionPoll is how soon the end of an R session is seen whose standard input stays open, see below.
const sessionPoll = time.Second

// session is the R process that a helper of it works for. It is over when R writes a line, when standard input ends, or
// when the process is gone: a server that R started in the background inherits the other end of the pipe and would keep it
// open beyond the death of R.
func (a *app) session(cmd *cobra.Command) func(context.Context) <-chan struct{} {
	pid := cmd.Flags().Int("session", 0, "process of the R session; with it gone, its helper ends too")
	return func(ctx context.Context) <-chan struct{} {
		ended := make(chan struct{})
		input := make(chan struct{})
		go func() { // ends with standard input, at the latest with this process
			defer close(input)
			_, _ = bufio.NewReader(a.Stdin).ReadString('\n') // an error ends the wait as well as a line does
		}()
		go func() {
			defer close(ended)
			tick := time.NewTicker(sessionPoll)
			defer tick.Stop()
			for {
				select {
				case <-input:
					return
				case <-ctx.Done():
					return
				case <-tick.C:
					if *pid == 0 {
						continue
					}
					if alive, err := process.PidExistsWithContext(ctx, int32(*pid)); err == nil && !alive {
						return
					}
				}
			}
		}()
		return ended
	}
}
