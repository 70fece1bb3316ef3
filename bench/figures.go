package bench

import "time"

// Figures are what one server did in one scenario. Where a figure was not measured it is zero.
type Figures struct {
	Clients  int     `json:"clients"`
	Channels int     `json:"channels,omitempty"`
	Seconds  float64 `json:"seconds"`
	Rate     float64 `json:"rate,omitempty"` // publishes a second that were due

	Published int64 `json:"published,omitempty"`
	Delivered int64 `json:"delivered,omitempty"`
	// Missed is how many deliveries had not come at the deadline, Unsent how many events that were due
	// the publisher's socket had not taken (their deliveries are missed too).
	Missed int64 `json:"missed"`
	Unsent int64 `json:"unsent,omitempty"`
	// Disordered is how many deliveries were no newer than the one before on the same connection.
	Disordered int64  `json:"disordered"`
	Resets     int64  `json:"resets"`
	Refused    int64  `json:"refused"`
	Problem    string `json:"problem,omitempty"`

	PublishesPerSecond     float64 `json:"publishes_per_second,omitempty"`
	AcksPerSecond          float64 `json:"acks_per_second,omitempty"`
	DeliveriesPerSecond    float64 `json:"deliveries_per_second,omitempty"`
	FramesPerSecond        float64 `json:"frames_per_second,omitempty"`
	BytesPerSecond         float64 `json:"bytes_per_second,omitempty"`
	DeliveriesPerCPUSecond float64 `json:"deliveries_per_cpu_second,omitempty"`
	CPUPerDelivery         float64 `json:"cpu_us_per_delivery,omitempty"`
	ServerCPU              float64 `json:"server_cpu,omitempty"` // cores
	LoadCPU                float64 `json:"load_cpu,omitempty"`   // cores

	Latency    *Percentiles `json:"latency,omitempty"`
	AckLatency *Percentiles `json:"ack_latency,omitempty"`

	KBPerConnection float64 `json:"kb_per_connection,omitempty"`
	ResidentMB      float64 `json:"resident_mb,omitempty"`

	// CatchUp is the time from the first subscribe of a storm until everybody had everything.
	CatchUp float64 `json:"catch_up_seconds,omitempty"`
	// RangeReads is how often the gateway read ranges from Redis; -1 when that is not known.
	RangeReads int64 `json:"range_reads,omitempty"`
	// CeilingPerSecond is what redis-benchmark got from the same function.
	CeilingPerSecond float64 `json:"ceiling_per_second,omitempty"`
}

// account derives the figures that depend on the server's CPU time.
func (f *Figures) account(cpu time.Duration, measured bool) {
	if !measured || cpu <= 0 {
		return
	}
	f.ServerCPU = cpu.Seconds() / f.Seconds
	if f.Delivered > 0 {
		f.DeliveriesPerCPUSecond = float64(f.Delivered) / cpu.Seconds()
		f.CPUPerDelivery = float64(cpu.Microseconds()) / float64(f.Delivered)
	}
}

// Result is one scenario's outcome.
type Result struct {
	Scenario string   `json:"scenario"`
	Store    string   `json:"store,omitempty"` // embedded or redis
	Gateway  *Figures `json:"gateway,omitempty"`
	Floor    *Figures `json:"floor,omitempty"`
	// Ratio is the gateway's figure by the floor's, Of says which: CPU a delivery, memory a connection,
	// publishes a second; or the ceiling's for publishing through Redis.
	Ratio float64 `json:"ratio,omitempty"`
	Of    string  `json:"ratio_of,omitempty"`
	// Note says why a scenario was left out, or what to distrust.
	Note string `json:"note,omitempty"`
}
