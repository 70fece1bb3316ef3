package deploy_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerui"
	"github.com/opencontainers/go-digest"
	"github.com/stretchr/testify/require"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// madeUp answers for every image, since no registry is asked. It is asked for several at once.
type madeUp struct {
	mu    sync.Mutex
	asked []string
}

func (m *madeUp) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	m.mu.Lock()
	m.asked = append(m.asked, ref)
	m.mu.Unlock()
	config, err := json.Marshal(ocispecs.Image{Platform: ocispecs.Platform{OS: "linux", Architecture: "amd64"}})
	return ref, digest.FromString(ref), config, err
}

// convert turns a Dockerfile into what a builder would do for a platform, and returns the image's description, the images that
// it is made from, and what `docker build --check` would say.
func convert(t *testing.T, text, architecture string) (*dockerspec.DockerOCIImage, []string, []string, error) {
	t.Helper()
	var warnings []string
	images := &madeUp{}
	platform := ocispecs.Platform{OS: "linux", Architecture: architecture}
	amd64 := ocispecs.Platform{OS: "linux", Architecture: "amd64"}
	result, err := dockerfile2llb.Dockerfile2LLB(t.Context(), []byte(text), dockerfile2llb.ConvertOpt{
		Config: dockerui.Config{
			BuildArgs:      map[string]string{"VERSION": "v1.2.3", "COMMIT": "0123456789ab"},
			BuildPlatforms: []ocispecs.Platform{amd64},
		},
		SourceMap:      llb.NewSourceMap(nil, "Dockerfile", "Dockerfile", []byte(text)),
		TargetPlatform: &platform,
		MetaResolver:   images,
		AllStages:      true,
		Warn: func(rule, _, _, message string, _ []parser.Range) {
			warnings = append(warnings, rule+": "+message)
		},
	})
	if err != nil {
		return nil, nil, warnings, err
	}
	_, err = result.State.Marshal(t.Context(), llb.Platform(platform))
	return result.Image, images.asked, warnings, err
}

// image is what the Dockerfile makes.
func image(t *testing.T) *dockerspec.DockerOCIImage {
	t.Helper()
	made, _, _, err := convert(t, read(t, "Dockerfile"), "amd64")
	require.NoError(t, err)
	return made
}

// TestDockerfile is without a finding of `docker build --check`, for both platforms, and its images are pinned.
func TestDockerfile(t *testing.T) {
	for _, architecture := range []string{"amd64", "arm64"} {
		made, from, warnings, err := convert(t, read(t, "Dockerfile"), architecture)
		require.NoError(t, err)
		require.Empty(t, warnings)
		require.Equal(t, architecture, made.Architecture)
		require.Len(t, from, 3)
		for _, ref := range from {
			require.Regexp(t, `^(docker\.io/library/[a-z]+:[0-9]+[a-z0-9.-]*|gcr\.io/distroless/static-debian[0-9]+:nonroot)(@sha256:[0-9a-f]{64})?$`, ref)
		}
	}
}

// TestDockerfileMistakes: the checks see what is wrong.
func TestDockerfileMistakes(t *testing.T) {
	text := read(t, "Dockerfile")
	for name, c := range map[string]struct{ old, typed, want string }{
		"unknown instruction": {"EXPOSE 8080", "EXPOES 8080", "unknown instruction: EXPOES"},
		"unknown flag":        {"COPY --from=build", "COPY --frm=build", "unknown flag: --frm"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, _, err := convert(t, strings.Replace(text, c.old, c.typed, 1), "amd64")
			require.ErrorContains(t, err, c.want)
		})
	}
	for name, c := range map[string]struct{ old, typed, want string }{
		"undefined variable": {"COPY --from=build /tallywire", "COPY --from=build $SUORCE/tallywire", "UndefinedVar"},
		"through a shell":    {`CMD ["serve"]`, "CMD serve", "JSONArgsRecommended"},
		"secret":             {"EXPOSE 8080", "ENV AUTH_SECRET=x\nEXPOSE 8080", "SecretsUsedInArgOrEnv"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, warnings, err := convert(t, strings.Replace(text, c.old, c.typed, 1), "amd64")
			require.NoError(t, err)
			require.Contains(t, strings.Join(warnings, "\n"), c.want)
		})
	}
}

// TestImage runs as nobody, says what it listens on and how it is asked whether it lives.
func TestImage(t *testing.T) {
	config := image(t).Config
	require.Equal(t, "65532:65532", config.User, "as a number, so that Kubernetes sees that it is not root")
	require.Equal(t, []string{"/usr/local/bin/tallywire"}, config.Entrypoint)
	require.Equal(t, []string{"serve"}, config.Cmd)
	require.Contains(t, config.ExposedPorts, "8080/tcp")
	require.Contains(t, config.ExposedPorts, "9090/tcp")
	require.NotNil(t, config.Healthcheck)
	require.Equal(t, "CMD", config.Healthcheck.Test[0], "there is no shell")
	isHealthcheck(t, config.Healthcheck.Test[1:])
}
