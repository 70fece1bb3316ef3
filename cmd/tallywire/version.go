package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Stamped by the linker: -X main.version=… -X main.commit=…
var (
	version string
	commit  string
)

// versionCommand prints what this program was built from.
type versionCommand struct{}

// Run prints one line.
func (versionCommand) Run(r *run) error {
	v, c := buildVersion()
	_, err := fmt.Fprintf(r.stdout, "tallywire %s (commit %s, %s, %s/%s)\n", v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion returns the version and the commit: those that the linker stamped, or else what the Go
// toolchain wrote into the binary.
func buildVersion() (v, c string) {
	v, c = version, commit
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	if v == "" && info.Main.Version != "" {
		v = info.Main.Version
	}
	if c == "" {
		dirty := ""
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				c = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				dirty = "+changes"
			}
		}
		if c != "" {
			c = c[:min(12, len(c))] + dirty
		}
	}
	if v == "" {
		v = "(devel)"
	}
	if c == "" {
		c = "unknown"
	}
	return v, c
}

// shortVersion is the version alone.
func shortVersion() string {
	v, _ := buildVersion()
	return v
}
