package bench

import (
	"context"
	"errors"
	"time"
)

// idle measures the memory of connections that are subscribed to one channel and silent.
func idle(ctx context.Context, s *server, cpu int, o load) (*Figures, error) {
	if s.pid == 0 {
		return nil, errors.New("the memory of a server can be read with its --pid only")
	}
	var figures *Figures
	err := onCPU(cpu, func() error {
		f, err := newFleet(s, o.clients)
		if err != nil {
			return err
		}
		defer f.close()
		f.reader = o.reader
		before, err := resident(s.pid)
		if err != nil {
			return err
		}
		start := time.Now()
		if err := f.open(ctx, o.clients, o.channels); err != nil {
			return err
		}
		opened := time.Now()
		for end := opened.Add(o.measure); time.Now().Before(end); {
			if err := f.poll(100 * time.Millisecond); err != nil {
				return err
			}
			if err := context.Cause(ctx); err != nil {
				return err //nolint:wrapcheck // the caller's own
			}
		}
		after, err := resident(s.pid)
		if err != nil {
			return err
		}
		figures = &Figures{
			Clients: o.clients, Channels: o.channels, Seconds: opened.Sub(start).Seconds(),
			KBPerConnection: float64(after-before) / 1024 / float64(o.clients), ResidentMB: float64(after) / (1 << 20),
		}
		return nil
	})
	return figures, err
}
