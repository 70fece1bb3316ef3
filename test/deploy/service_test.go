package deploy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestRights: no service may do more than it needs.
func TestRights(t *testing.T) {
	p := project(t)
	for name, s := range p.Services {
		require.True(t, s.ReadOnly, "%s: its root can be written", name)
		require.Equal(t, []string{"ALL"}, []string(s.CapDrop), "%s: capabilities", name)
		require.Empty(t, s.CapAdd, name)
		require.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		require.False(t, s.Privileged, name)
		require.Empty(t, s.Pid, name)
		require.NotEqual(t, "host", s.NetworkMode, name)
	}
	require.True(t, bool(p.Networks["back"].Internal))
	for name, s := range gateways(p) {
		require.Empty(t, s.Volumes, "%s keeps nothing", name)
	}
}

// TestGrace: nothing is killed before it can have drained: the wait, the window, three seconds in which the last
// client may still be there, and slack.
func TestGrace(t *testing.T) {
	const overlap, slack = 3 * time.Second, 10 * time.Second
	for name, s := range gateways(project(t)) {
		need := overlap + slack
		for _, variable := range []string{"TALLYWIRE_DRAIN_WAIT", "TALLYWIRE_DRAIN_WINDOW"} {
			require.NotNil(t, s.Environment[variable], "%s: %s", name, variable)
			d, err := time.ParseDuration(*s.Environment[variable])
			require.NoError(t, err, variable)
			need += d
		}
		require.NotNil(t, s.StopGracePeriod, name)
		require.GreaterOrEqual(t, time.Duration(*s.StopGracePeriod), need, name)
	}
}

// TestSettingsAreKnown: the program takes the environment of every gateway as it is, and each variable comes
// out as the setting that it names.
func TestSettingsAreKnown(t *testing.T) {
	for name, s := range gateways(project(t)) {
		t.Run(name, func(t *testing.T) {
			require.Empty(t, s.EnvFiles)
			args := append([]string{}, s.Command...)
			if len(args) == 0 {
				args = image(t).Config.Cmd
			}
			out, err := run(t, variables(s), program(t), append(args, "--print-config")...)
			require.NoError(t, err, out)
			var printed map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(out), &printed))
			for variable := range s.Environment {
				key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(variable, "TALLYWIRE_")), "_", "-")
				require.Contains(t, printed, key)
				require.Regexp(t, `(?m)^`+key+`:.*# .*`+variable, out, "it does not come from there")
			}
			require.Equal(t, ":8080", printed["listen"])
			require.NotContains(t, out, *s.Environment["TALLYWIRE_AUTH_SECRET"])
		})
	}
}

// TestUnknownSettingsAreRefused, so that TestSettingsAreKnown says something.
func TestUnknownSettingsAreRefused(t *testing.T) {
	s := project(t).Services["gateway-1"]
	out, err := run(t, append(variables(s), "TALLYWIRE_DRAIN_WINDWO=20s"), program(t), "serve", "--print-config")
	require.Error(t, err)
	require.Contains(t, out, "TALLYWIRE_DRAIN_WINDWO")
	require.Contains(t, out, "did you mean TALLYWIRE_DRAIN_WINDOW?")
}

func variables(s types.ServiceConfig) []string {
	var out []string
	for name, value := range s.Environment {
		if value != nil {
			out = append(out, name+"="+*value)
		}
	}
	return out
}

// TestToken makes one as the composition does; its arguments are those that the first lines of the file give.
func TestToken(t *testing.T) {
	s := project(t).Services["token"]
	require.Equal(t, "none", s.NetworkMode)
	for _, args := range [][]string{s.Command, {"--user", "alice", "--subscribe", "jobs:*"}} {
		all := append(append([]string{}, s.Entrypoint[1:]...), args...)
		out, err := run(t, variables(s), program(t), all...)
		require.NoError(t, err, out)
		require.Regexp(t, `^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+\n$`, out)
	}
}

// TestHealthchecks call what is there: the subcommand of our program, and with flags that it knows.
func TestHealthchecks(t *testing.T) {
	p := project(t)
	for name, s := range gateways(p) {
		require.Equal(t, "CMD", s.HealthCheck.Test[0], "%s: the image has no shell", name)
		isHealthcheck(t, s.HealthCheck.Test[1:])
	}
	require.Equal(t, []string{"CMD", "redis-cli", "ping"}, []string(p.Services["redis"].HealthCheck.Test))
	for _, gateway := range []string{"gateway-1", "gateway-2"} {
		require.Equal(t, types.ServiceConditionHealthy, p.Services["haproxy"].DependsOn[gateway].Condition)
	}
}

// isHealthcheck runs a command of the image where no gateway answers: it has to say so, rather than that it does
// not know what is asked of it.
func isHealthcheck(t *testing.T, command []string) {
	t.Helper()
	require.Equal(t, image(t).Config.Entrypoint[0], command[0])
	out, err := run(t, []string{"TALLYWIRE_ADMIN_LISTEN=127.0.0.1:1"}, program(t), command[1:]...)
	require.Error(t, err)
	require.Contains(t, out, "connection refused")
	require.NotContains(t, out, "--help")
}

// TestRedis keeps what subscribers may still ask for, and refuses writes rather than forget.
func TestRedis(t *testing.T) {
	s := project(t).Services["redis"]
	command := strings.Join(s.Command, " ")
	for _, setting := range []string{"--appendonly yes", "--appendfsync everysec", "--maxmemory-policy noeviction"} {
		require.Contains(t, command, setting)
	}
	require.Len(t, s.Volumes, 1)
	require.Equal(t, types.VolumeTypeVolume, s.Volumes[0].Type)
	require.Equal(t, "/data", s.Volumes[0].Target)
	out, err := run(t, nil, need(t, "redis-server", "redis-server"), append(s.Command[1:], "--port", "nonsense")...)
	require.Error(t, err)
	require.Contains(t, out, "nonsense", "it stumbles over the port alone, and has read the rest")
}
