package chart

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
)

// KubeVersion is the cluster that charts are rendered for; the schemas in the folder schemas are of the
// same version.
const KubeVersion = "v1.34.4"

// Release is an installation to render. The zero value is called tallywire, in the namespace default.
type Release struct {
	Name, Namespace string
	// Upgrade says that an earlier revision is installed.
	Upgrade bool
	// Cluster answers the templates' questions about what runs; nil for nothing.
	Cluster engine.ClientProvider
}

// Rendered is what a chart renders to.
type Rendered struct {
	// Manifests are by template, as "deployment.yaml". Those that render to nothing are left out.
	Manifests map[string]string
	// Notes are what Helm prints after installing.
	Notes string
}

// Load reads the chart in a folder.
func Load(folder string) (*chart.Chart, error) { return loader.Load(folder) }

// Render renders a chart with values over its own, as `helm install` does: the values are first held against
// the chart's schema.
func Render(c *chart.Chart, r Release, values map[string]any) (*Rendered, error) {
	version, err := chartutil.ParseKubeVersion(KubeVersion)
	if err != nil {
		return nil, fmt.Errorf("version of Kubernetes: %w", err)
	}
	if ok := chartutil.IsCompatibleRange(c.Metadata.KubeVersion, version.Version); !ok {
		return nil, fmt.Errorf("the chart is for Kubernetes %s, this is %s", c.Metadata.KubeVersion, version.Version)
	}
	capabilities := chartutil.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	options := chartutil.ReleaseOptions{
		Name: r.Name, Namespace: r.Namespace, Revision: 1, IsInstall: !r.Upgrade, IsUpgrade: r.Upgrade,
	}
	if options.Name == "" {
		options.Name = "tallywire"
	}
	if options.Namespace == "" {
		options.Namespace = "default"
	}
	all, err := chartutil.ToRenderValues(c, values, options, capabilities)
	if err != nil {
		return nil, err
	}
	var files map[string]string
	if r.Cluster != nil {
		files, err = engine.RenderWithClientProvider(c, all, r.Cluster)
	} else {
		files, err = engine.Engine{Strict: true}.Render(c, all)
	}
	if err != nil {
		return nil, err
	}
	return sorted(c.Name(), files), nil
}

// sorted tells manifests from notes and helpers.
func sorted(name string, files map[string]string) *Rendered {
	out := &Rendered{Manifests: map[string]string{}}
	for file, text := range files {
		file = strings.TrimPrefix(file, path.Join(name, "templates")+"/")
		switch {
		case file == "NOTES.txt":
			out.Notes = text
		case path.Ext(file) == ".yaml" && strings.TrimSpace(text) != "":
			out.Manifests[file] = text
		}
	}
	return out
}

// String returns all manifests, each after a line that says where it is from, as `helm template` prints them.
func (r *Rendered) String() string {
	var b strings.Builder
	for _, file := range slices.Sorted(maps.Keys(r.Manifests)) {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", file, strings.TrimSpace(r.Manifests[file]))
	}
	return b.String()
}
