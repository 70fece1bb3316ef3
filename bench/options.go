package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Options say what to measure and how. The zero value measures everything with a gateway that [Run]
// starts itself.
type Options struct {
	// Scenarios are names of [Scenarios]; none means all.
	Scenarios []string

	// URL is a running gateway (http://host:port). Without one Run starts a gateway for each scenario.
	URL string
	// Token is sent with `connect` to the gateway at URL.
	Token string
	// Redis is the Redis of the gateway at URL, or the one that started gateways are to use
	// (redis://…). Without it Run starts a redis-server for the scenarios that want one.
	Redis string
	// PID is the process of the gateway at URL: without it there is neither CPU nor memory to show.
	PID int
	// ServerCommand starts a gateway in place of this program's own `serve`: words in which {listen} is
	// the address and {redis} the URL of Redis; without Redis, words with {redis} are left out.
	ServerCommand []string

	// NoFloor leaves the floor out.
	NoFloor bool

	// Clients, Window, Rate and Duration replace the scenarios' own where they are not 0.
	Clients  int
	Window   int
	Rate     float64
	Duration time.Duration
	// Warm is how long a load runs before it is measured (1 s).
	Warm time.Duration
	// Patience is how long to wait for what is late at the end (5 s); what has not come then is missed.
	Patience time.Duration
	// Padding is how many bytes an event carries beside its stamp (64).
	Padding int

	// JSON is a file for one JSON object a scenario; "-" is standard output, in place of the table.
	JSON string
}

// Validate reports what is wrong with the options.
func (o *Options) Validate() error {
	for _, name := range o.Scenarios {
		if !slices.ContainsFunc(scenarios, func(s scenario) bool { return s.name == name }) {
			return fmt.Errorf("scenario %q: known are %s", name, strings.Join(Scenarios(), ", "))
		}
	}
	switch {
	case o.Clients < 0 || o.Window < 0 || o.Rate < 0 || o.Duration < 0 || o.Warm < 0 || o.Patience < 0 || o.Padding < 0:
		return errors.New("numbers and durations must not be negative")
	case o.Rate > 1e6:
		return errors.New("rate: at most 1,000,000 a second")
	case o.Padding > 32<<10:
		return errors.New("padding: at most 32768 bytes")
	case o.URL == "" && (o.Token != "" || o.PID != 0):
		return errors.New("token and pid describe a running gateway: url is missing")
	case o.URL != "" && len(o.ServerCommand) > 0:
		return errors.New("either url or a server command, not both")
	}
	if o.URL != "" {
		if _, _, err := parseURL(o.URL); err != nil {
			return err
		}
	}
	if o.Redis != "" {
		if _, err := parseRedis(o.Redis); err != nil {
			return err
		}
	}
	return nil
}

func (o *Options) setDefaults() {
	def(&o.Warm, time.Second)
	def(&o.Patience, 5*time.Second)
	def(&o.Padding, 64)
	if len(o.Scenarios) == 0 {
		o.Scenarios = Scenarios()
	}
}

func def[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// parseURL returns the address and the Host header of a gateway.
func parseURL(text string) (addr netip.AddrPort, host string, err error) {
	u, err := url.Parse(text)
	if err != nil {
		return addr, "", fmt.Errorf("url: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "ws" {
		return addr, "", fmt.Errorf("url %s: http:// or ws:// is wanted; the load generator does not speak TLS", text)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	addr, err = resolve(u.Hostname(), port)
	return addr, u.Host, err
}

func resolve(name, port string) (netip.AddrPort, error) {
	if name == "localhost" {
		name = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(name)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("host %q: an IP address or localhost is wanted", name)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("port %q: %w", port, err)
	}
	return netip.AddrPortFrom(ip, uint16(n)), nil
}

// selfCommand is how this program serves.
func selfCommand() ([]string, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	return []string{path, "serve", "--insecure", "--listen={listen}", "--admin-listen=off", "--log-level=warn", "--redis={redis}"}, nil
}
