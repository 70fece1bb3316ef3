{{/* Scaling and metrics. */}}

{{/* Up fast, down slowly: a pod less is a drain, and its clients connect to the others. */}}
{{- define "tallywire.scaleBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: {{ int .scaleUp.stabilizationSeconds }}
  policies:
    - type: Pods
      value: {{ int .scaleUp.podsPerMinute }}
      periodSeconds: 60
scaleDown:
  stabilizationWindowSeconds: {{ int .scaleDown.stabilizationSeconds }}
  policies:
    - type: Pods
      value: 1
      periodSeconds: {{ int .scaleDown.periodSeconds }}
{{- end }}

{{/* The matchers that tell this release's series from those of others. */}}
{{- define "tallywire.selectSeries" -}}
namespace={{ .Release.Namespace | quote }},job={{ include "tallywire.fullname" . | quote }}
{{- end }}

{{/* An endpoint of a PodMonitor or ServiceMonitor: a dict of root and of that monitor's values. */}}
{{- define "tallywire.endpoint" -}}
port: admin
path: /metrics
interval: {{ int .root.Values.metrics.intervalSeconds }}s
scrapeTimeout: {{ min 10 (int .root.Values.metrics.intervalSeconds) }}s
relabelings:
  # Alerts and the dashboard select by it.
  - targetLabel: job
    replacement: {{ include "tallywire.fullname" .root | quote }}
{{- with .monitor.metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The groups of files/alerts.yaml, for this release's series only. */}}
{{- define "tallywire.alerts" -}}
{{- $rule := .Values.metrics.prometheusRule -}}
{{- $text := .Files.Get "files/alerts.yaml" -}}
{{- $text = $text | replace "job=\"tallywire\"" (include "tallywire.selectSeries" .) -}}
{{- $text = $text | replace "https://github.com/tallywire/tallywire/blob/main/docs/operations.md" $rule.runbook -}}
{{- $groups := list -}}
{{- range (fromYaml $text).groups -}}
  {{- $rules := list -}}
  {{- range .rules -}}
    {{- if not (has .alert $rule.disabled) -}}
      {{- $rules = append $rules (set . "labels" (merge (dict) $rule.alertLabels .labels)) -}}
    {{- end -}}
  {{- end -}}
  {{- if $rules -}}
    {{- $groups = append $groups (dict "name" .name "rules" $rules) -}}
  {{- end -}}
{{- end -}}
{{- toYaml $groups -}}
{{- end }}

{{/* The names of all alerts, as a YAML list. */}}
{{- define "tallywire.alertNames" -}}
{{- $names := list -}}
{{- range (.Files.Get "files/alerts.yaml" | fromYaml).groups -}}
  {{- range .rules }}{{ $names = append $names .alert }}{{ end -}}
{{- end -}}
{{- toYaml $names -}}
{{- end }}
