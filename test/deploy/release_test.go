package deploy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestWorkflows run nothing but what anybody can run: targets of the Makefile that exist.
func TestWorkflows(t *testing.T) {
	targets := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z-]+):[^=]`).FindAllStringSubmatch(read(t, "Makefile"), -1) {
		targets[m[1]] = true
	}
	require.True(t, targets["check"])
	files, err := filepath.Glob(filepath.Join(root, ".github/workflows/*.yml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	called := map[string]bool{}
	for _, file := range files {
		var workflow struct {
			Jobs map[string]struct {
				Steps []struct{ Run string }
			}
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(text, &workflow))
		for job, j := range workflow.Jobs {
			for _, step := range j.Steps {
				words := strings.Fields(step.Run)
				if len(words) == 0 || words[0] == "helm" && words[1] == "registry" {
					continue
				}
				require.Equal(t, "make", words[0], "%s: %s", job, step.Run)
				for _, word := range words[1:] {
					if !strings.HasPrefix(word, "-") && regexp.MustCompile(`^[a-z-]+$`).MatchString(word) {
						require.True(t, targets[word], "%s: there is no make %s", job, word)
						called[word] = true
					}
				}
			}
		}
	}
	for _, target := range []string{"check", "test", "fuzz", "release", "release-image", "release-chart", "release-client"} {
		require.True(t, called[target], target)
	}
}

// TestRelease: programs of a release are stamped as those of the Makefile and the image are, for every system that the
// documents promise; what is packed with them exists. Whether goreleaser takes the file, `make release-check` tells.
func TestRelease(t *testing.T) {
	var config struct {
		Version int `yaml:"version"`
		Builds  []struct {
			Main    string   `yaml:"main"`
			Env     []string `yaml:"env"`
			Flags   []string `yaml:"flags"`
			LDFlags []string `yaml:"ldflags"`
			GOOS    []string `yaml:"goos"`
			GOARCH  []string `yaml:"goarch"`
		} `yaml:"builds"`
		Archives []struct {
			Files []string `yaml:"files"`
		} `yaml:"archives"`
		SBOMs []struct {
			Command string `yaml:"cmd"`
		} `yaml:"sboms"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, ".goreleaser.yaml")), &config))
	require.Equal(t, 2, config.Version)
	require.Len(t, config.Builds, 1)
	b := config.Builds[0]
	require.Equal(t, []string{"darwin", "linux", "windows"}, slices.Sorted(slices.Values(b.GOOS)))
	require.Equal(t, []string{"amd64", "arm64"}, slices.Sorted(slices.Values(b.GOARCH)))
	require.Contains(t, b.Env, "CGO_ENABLED=0")
	require.Contains(t, b.Flags, "-trimpath")

	stamps := stamped(strings.Join(b.LDFlags, " "))
	require.Equal(t, []string{"main.commit", "main.version"}, stamps)
	require.Equal(t, stamps, stamped(read(t, "Makefile")))
	require.Equal(t, stamps, stamped(read(t, "Dockerfile")))
	for _, name := range stamps {
		require.Regexp(t, `(?m)^\t`+strings.TrimPrefix(name, "main.")+` +string$`, read(t, "cmd/tallywire/version.go"))
	}
	for _, pattern := range config.Archives[0].Files {
		require.NotEqual(t, []string{""}, tracked(t, strings.TrimRight(pattern, "/*")), pattern)
	}
	for _, s := range config.SBOMs {
		require.FileExists(t, filepath.Join(root, "dist", s.Command))
	}
}

// stamped are the variables that a linker's flags set.
func stamped(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`-X (main\.\w+)=`).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestWorkbenchSBOM names what the page is made of, with versions, and not what it was only built with.
func TestWorkbenchSBOM(t *testing.T) {
	need(t, "npm", "npm")
	document := filepath.Join(t.TempDir(), "workbench.cdx.json")
	out, err := run(t, nil, filepath.Join(root, "scripts/sbom.sh"), "--workbench", document, "v1.2.3")
	require.NoError(t, err, out)
	var sbom struct {
		Format   string `json:"bomFormat"`
		Metadata struct {
			Component struct{ Name, Version string } `json:"component"`
		} `json:"metadata"`
		Components []struct{ Name, Version string } `json:"components"`
	}
	text, err := os.ReadFile(document)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &sbom))
	require.Equal(t, "CycloneDX", sbom.Format)
	require.Equal(t, "1.2.3", sbom.Metadata.Component.Version)
	var names []string
	for _, c := range sbom.Components {
		require.NotEmpty(t, c.Version, c.Name)
		names = append(names, c.Name)
	}
	require.Subset(t, names, []string{"react", "react-dom", "uplot"})
	require.NotContains(t, names, "vite")
}
