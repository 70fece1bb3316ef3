package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOptions_Validate(t *testing.T) {
	require.NoError(t, (&Options{}).Validate())
	require.NoError(t, (&Options{URL: "http://localhost:8080", PID: 1, Redis: "redis://127.0.0.1"}).Validate())
	for name, o := range map[string]Options{
		`scenario "speed"`:   {Scenarios: []string{"idle", "speed"}},
		"not be negative":    {Clients: -1},
		"1,000,000":          {Rate: 2e6},
		"32768":              {Padding: 1 << 20},
		"url is missing":     {PID: 5},
		"not both":           {URL: "http://127.0.0.1:1", ServerCommand: []string{"x"}},
		"does not speak TLS": {URL: "https://127.0.0.1"},
		"IP address":         {URL: "http://example.com"},
		"redis://host:port":  {Redis: "rediss://127.0.0.1"},
		"port":               {URL: "http://127.0.0.1:70000"},
	} {
		require.ErrorContains(t, o.Validate(), name)
	}
}

func TestParseURL(t *testing.T) {
	addr, host, err := parseURL("ws://localhost")
	require.NoError(t, err)
	require.Equal(t, "127.0.0.1:80", addr.String())
	require.Equal(t, "localhost", host)
	addr, _, err = parseURL("http://[::1]:8080/")
	require.NoError(t, err)
	require.Equal(t, "[::1]:8080", addr.String())
}

func TestFill(t *testing.T) {
	words := []string{"gw", "--listen={listen}", "--redis={redis}", "-v"}
	require.Equal(t, []string{"gw", "--listen=a:1", "-v"}, fill(words, "a:1", ""))
	require.Equal(t, []string{"gw", "--listen=a:1", "--redis=redis://b", "-v"}, fill(words, "a:1", "redis://b"))
}

func TestAssign_KeepsTheServerAlone(t *testing.T) {
	require.Equal(t, cpus{-1, -1, -1}, assign([]int{3}))
	require.Equal(t, cpus{server: 2, redis: 5, load: 5}, assign([]int{2, 5}))
	require.Equal(t, cpus{server: 0, redis: 1, load: 2}, assign([]int{0, 1, 2, 3}))
}

func TestScenario_Adapt(t *testing.T) {
	byName := func(name string) *scenario {
		for i := range scenarios {
			if scenarios[i].name == name {
				return &scenarios[i]
			}
		}
		t.Fatal(name)
		return nil
	}
	o := Options{Clients: 20, Window: 8}
	o.setDefaults()
	l := byName("channels").adapt(&o, 0)
	require.Equal(t, 20, l.channels, "still a channel each")
	require.Equal(t, 1, l.fan())
	require.Equal(t, 8, l.window)
	l = byName("fanout").adapt(&o, 0)
	require.Equal(t, 1, l.channels)
	require.Equal(t, 20, l.fan())
	require.Zero(t, byName("fanout-rate").adapt(&o, 50).window, "an open loop has no window")
}
