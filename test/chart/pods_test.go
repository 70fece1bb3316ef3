package chart_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	chart "github.com/tallywire/tallywire/test/chart"
)

// TestPodsAreRestricted: what the Pod Security Standard "restricted" demands, and what the house adds.
func TestPodsAreRestricted(t *testing.T) {
	matrix(t, func(t *testing.T, r *chart.Rendered) {
		t.Helper()
		for name, pod := range pods(t, r) {
			s := pod.Spec
			require.Equal(t, new(false), s.AutomountServiceAccountToken, name)
			require.Equal(t, new(false), s.EnableServiceLinks, "%s: TALLYWIRE_ variables that are none of ours", name)
			require.Equal(t, new(true), s.SecurityContext.RunAsNonRoot, name)
			require.Positive(t, *s.SecurityContext.RunAsUser, name)
			require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, s.SecurityContext.SeccompProfile.Type, name)
			require.False(t, s.HostNetwork || s.HostPID || s.HostIPC, name)
			volumes := map[string]bool{}
			for _, v := range s.Volumes {
				volumes[v.Name] = true
				require.Nil(t, v.HostPath, name)
			}
			for _, c := range append(s.InitContainers, s.Containers...) {
				require.Equal(t, new(false), c.SecurityContext.AllowPrivilegeEscalation, c.Name)
				require.Equal(t, new(true), c.SecurityContext.ReadOnlyRootFilesystem, c.Name)
				require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop, c.Name)
				require.Empty(t, c.SecurityContext.Capabilities.Add, c.Name)
				require.Empty(t, c.Command, "%s: the image has no shell, and its entry point is the program", c.Name)
				for _, m := range c.VolumeMounts {
					require.True(t, volumes[m.Name], "%s mounts %s, which is no volume", c.Name, m.Name)
				}
			}
		}
	})
}

// TestSelectors: what selects pods selects those that it is for, and no others.
func TestSelectors(t *testing.T) {
	matrix(t, func(t *testing.T, r *chart.Rendered) {
		t.Helper()
		templates := pods(t, r)
		for _, o := range objects(t, r) {
			var selector map[string]any
			switch o.GetKind() {
			case "Service":
				selector = at(t, o.Object, "spec", "selector")
			case "Deployment", "PodDisruptionBudget", "PodMonitor":
				selector = at(t, o.Object, "spec", "selector", "matchLabels")
			case "NetworkPolicy":
				selector = at(t, o.Object, "spec", "podSelector", "matchLabels")
			default:
				continue
			}
			var selected []string
			for name, pod := range templates {
				if matches(pod.Labels, selector) {
					selected = append(selected, name)
				}
			}
			require.Len(t, selected, 1, "%s %s selects %v", o.GetKind(), o.GetName(), selector)
			require.Contains(t, o.GetName(), selected[0])
			require.Equal(t, o.GetLabels()["app.kubernetes.io/component"], templates[selected[0]].Labels["app.kubernetes.io/component"])
		}
	})
}

// TestServiceMonitorSelectsAdmin: and not the Service for clients, which has no metrics.
func TestServiceMonitorSelectsAdmin(t *testing.T) {
	r := render(t, "gateway")
	selector := at(t, find(t, r, "ServiceMonitor", "tallywire").Object, "spec", "selector", "matchLabels")
	for _, o := range objects(t, r) {
		if o.GetKind() == "Service" {
			require.Equal(t, o.GetName() == "tallywire-admin", matches(o.GetLabels(), selector), o.GetName())
		}
	}
}

// TestAdminIsNotExposed: no way leads from outside to the admin port.
func TestAdminIsNotExposed(t *testing.T) {
	matrix(t, func(t *testing.T, r *chart.Rendered) {
		t.Helper()
		for _, o := range objects(t, r) {
			switch o.GetKind() {
			case "Ingress", "HTTPRoute":
				require.NotContains(t, asText(t, o.Object["spec"]), "-admin")
				require.NotContains(t, asText(t, o.Object["spec"]), "9090")
			case "Service":
				s := as[corev1.Service](t, o)
				for _, p := range s.Spec.Ports {
					admin := p.TargetPort.StrVal == "admin"
					require.True(t, !admin || s.Spec.Type == corev1.ServiceTypeClusterIP && len(s.Spec.Ports) == 1, s.Name)
				}
			}
		}
	})
}

// TestPortsByName: probes and Services name ports that the container has.
func TestPortsByName(t *testing.T) {
	for _, name := range []string{"dev", "sentinel", "gateway"} {
		r := render(t, name)
		c := deployment(t, r).Spec.Template.Spec.Containers[0]
		ports := map[string]int32{}
		for _, p := range c.Ports {
			ports[p.Name] = p.ContainerPort
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.ReadinessProbe, c.LivenessProbe} {
			require.Equal(t, "admin", probe.HTTPGet.Port.StrVal, "clients' TLS is none of the kubelet's affair")
		}
		require.Equal(t, "/healthz", c.LivenessProbe.HTTPGet.Path, "an outage of Redis must not restart gateways")
		require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path)
		for _, service := range []string{"tallywire", "tallywire-admin"} {
			for _, p := range as[corev1.Service](t, find(t, r, "Service", service)).Spec.Ports {
				require.Contains(t, ports, p.TargetPort.StrVal)
			}
		}
		s := settings(t, r)
		require.Equal(t, ":8080", s["listen"])
		require.Equal(t, ":9090", s["admin-listen"])
		require.EqualValues(t, 9090, ports["admin"])
	}
}

func matches(labels map[string]string, selector map[string]any) bool {
	for key, value := range selector {
		if labels[key] != value {
			return false
		}
	}
	return true
}
