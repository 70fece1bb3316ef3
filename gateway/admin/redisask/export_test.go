package redisask

import "time"

// SetSilence has the cluster doubt a silent connection sooner. It is called before Run.
func (c *Cluster) SetSilence(d time.Duration) { c.silence = d }

// Listening reports whether questions and answers are heard.
func (c *Cluster) Listening() bool { return c.listening.Load() }
