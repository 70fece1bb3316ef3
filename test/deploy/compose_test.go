package deploy_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
)

const composition = "docker-compose.yml"

// profiles are those that docker-compose.yml knows; TestProfiles holds them against it.
var profiles = []string{"demo", "observe", "tools"}

// load reads a composition as `docker compose config` does: with its schema, merges, variables and references.
func load(t *testing.T, text string, env []string, profiles ...string) (*types.Project, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), composition)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	folder, err := filepath.Abs(root)
	require.NoError(t, err)
	options, err := cli.NewProjectOptions([]string{file}, cli.WithWorkingDirectory(folder), cli.WithEnv(env),
		cli.WithProfiles(profiles), cli.WithResolvedPaths(true), cli.WithNormalization(true), cli.WithConsistency(true))
	require.NoError(t, err)
	return options.LoadProject(t.Context())
}

// project is docker-compose.yml with all profiles.
func project(t *testing.T) *types.Project {
	t.Helper()
	p, err := load(t, read(t, composition), nil, profiles...)
	require.NoError(t, err)
	return p
}

func names(services types.Services) []string { return slices.Sorted(maps.Keys(services)) }

// gateways are the services that run `tallywire serve`, the demonstration among them.
func gateways(p *types.Project) types.Services {
	out := types.Services{}
	for name, s := range p.Services {
		if s.Build != nil && len(s.Entrypoint) == 0 {
			out[name] = s
		}
	}
	return out
}

// TestProfiles: each starts what its line in the file says, and nothing needs another.
func TestProfiles(t *testing.T) {
	text := read(t, composition)
	always := []string{"gateway-1", "gateway-2", "haproxy", "redis"}
	for _, c := range []struct{ profiles, more []string }{
		{nil, nil},
		{[]string{"demo"}, []string{"demo"}},
		{[]string{"observe"}, []string{"grafana", "prometheus"}},
		{[]string{"tools"}, []string{"token"}},
		{[]string{"demo", "observe"}, []string{"demo", "grafana", "prometheus"}},
		{profiles, []string{"demo", "grafana", "prometheus", "token"}},
	} {
		p, err := load(t, text, nil, c.profiles...)
		require.NoError(t, err, c.profiles)
		require.Equal(t, slices.Sorted(slices.Values(append(slices.Clone(always), c.more...))), names(p.Services), "%v", c.profiles)
	}
	var known []string
	for _, s := range project(t).AllServices() {
		known = append(known, s.Profiles...)
	}
	slices.Sort(known)
	require.Equal(t, profiles, slices.Compact(known))
}

// TestMistakesAreRefused, so that what TestProfiles loads is held against something.
func TestMistakesAreRefused(t *testing.T) {
	text := read(t, composition)
	for name, c := range map[string]struct{ old, typed, want string }{
		"unknown key":      {"depends_on: [prometheus]", "depnds_on: [prometheus]", "depnds_on"},
		"unknown service":  {"depends_on: [prometheus]", "depends_on: [promtheus]", "promtheus"},
		"unknown network":  {"networks: [front, back]", "networks: [front, bak]", "bak"},
		"unknown volume":   {`volumes: ["redis:/data"]`, `volumes: ["rdis:/data"]`, "rdis"},
		"unknown anchor":   {"<<: *settings", "<<: *setings", "setings"},
		"period, no unit":  {"stop_grace_period: 40s", "stop_grace_period: forty", "forty"},
		"port, no number":  {"127.0.0.1:8080:8080", "127.0.0.1:http:8080", "http"},
		"restart, no word": {"restart: unless-stopped", "restart: [always]", "restart"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, text, c.old)
			_, err := load(t, strings.Replace(text, c.old, c.typed, 1), nil, profiles...)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// TestMerges: what gateways have in common reaches each of them, and each has a name of its own.
func TestMerges(t *testing.T) {
	p := project(t)
	seen := map[string]bool{}
	require.Equal(t, []string{"demo", "gateway-1", "gateway-2"}, names(gateways(p)))
	for name, s := range gateways(p) {
		require.Equal(t, "redis://redis:6379", *s.Environment["TALLYWIRE_REDIS"], name)
		require.Equal(t, name, *s.Environment["TALLYWIRE_GATEWAY_ID"])
		seen[*s.Environment["TALLYWIRE_GATEWAY_ID"]] = true
		require.Equal(t, types.ServiceConditionHealthy, s.DependsOn["redis"].Condition, name)
		require.Equal(t, "tallywire:compose", s.Image, name)
		require.Equal(t, "Dockerfile", s.Build.Dockerfile, name)
	}
	require.Len(t, seen, 3)
}

// TestVariables: what is set outside goes before what is for a trial; gateways and the maker of tokens agree.
func TestVariables(t *testing.T) {
	p, err := load(t, read(t, composition), []string{
		"TALLYWIRE_AUTH_SECRET=another-secret-of-thirty-two-bytes", "TALLYWIRE_ALLOWED_HOSTS=events.example.com", "VERSION=v9.8.7",
	}, profiles...)
	require.NoError(t, err)
	for name, s := range gateways(p) {
		require.Equal(t, "another-secret-of-thirty-two-bytes", *s.Environment["TALLYWIRE_AUTH_SECRET"], name)
		require.Equal(t, "events.example.com", *s.Environment["TALLYWIRE_ALLOWED_HOSTS"], name)
		require.Equal(t, "v9.8.7", *s.Build.Args["VERSION"], name)
	}
	for _, p := range []*types.Project{p, project(t)} {
		require.Equal(t, p.Services["gateway-1"].Environment["TALLYWIRE_AUTH_SECRET"], p.Services["token"].Environment["TALLYWIRE_AUTH_SECRET"])
	}
}

// TestMounts: what is mounted from here exists, is of the right kind, and cannot be written.
func TestMounts(t *testing.T) {
	folder, err := filepath.Abs(root)
	require.NoError(t, err)
	mounts := 0
	for name, s := range project(t).Services {
		for _, v := range s.Volumes {
			for _, other := range s.Volumes {
				require.False(t, other.ReadOnly && strings.HasPrefix(v.Target, other.Target+"/"), "%s: %s cannot be made in %s, which is read-only", name, v.Target, other.Target)
			}
			if v.Type != types.VolumeTypeBind {
				continue
			}
			mounts++
			require.True(t, v.ReadOnly, "%s: %s", name, v.Source)
			require.True(t, strings.HasPrefix(v.Source, folder+"/"), "%s: %s", name, v.Source)
			info, err := os.Stat(v.Source)
			require.NoError(t, err, name)
			require.Equal(t, filepath.Ext(v.Target) == "", info.IsDir(), "%s: a file where a folder is meant, or the other way round: %s", name, v.Target)
		}
	}
	require.Positive(t, mounts)
}

var pinned = regexp.MustCompile(`^[a-z0-9.-]+/[a-z0-9/._-]+:v?[0-9]+\.[0-9]+[a-z0-9.-]*$`)

// TestImages are pinned by version and say which registry they are from; our own is built here.
func TestImages(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		if s.Build != nil || name == "token" {
			require.Equal(t, "tallywire:compose", s.Image, name)
			continue
		}
		require.Regexp(t, pinned, s.Image, name)
	}
	for _, text := range []string{"docker.io/library/redis", "docker.io/library/redis:latest", "redis:8.2", "docker.io/library/redis:8"} {
		require.NotRegexp(t, pinned, text)
	}
}

// TestPorts are published on loopback only, and no two are the same.
func TestPorts(t *testing.T) {
	published := map[string]string{}
	for name, s := range project(t).Services {
		for _, port := range s.Ports {
			require.Equal(t, "127.0.0.1", port.HostIP, "%s: %s", name, port.Published)
			require.Empty(t, published[port.Published], "%s publishes what %s does", name, published[port.Published])
			published[port.Published] = name
			require.Contains(t, s.Networks, "front", "%s: the network between the services publishes nothing", name)
		}
	}
	require.Equal(t, "haproxy", published["8080"])
	require.NotContains(t, published, "9090", "nobody reaches an admin listener from outside")
	require.NotContains(t, published, "6379", "nobody reaches Redis from outside")
}
