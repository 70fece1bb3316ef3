{{/* Names and labels. Every label is quoted: a release may be called n, on or 123. */}}

{{- define "tallywire.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{/* The name of a Service begins with a letter, that of a release may begin with a digit. */}}
{{- define "tallywire.fullname" -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
  {{- $chart := include "tallywire.name" . -}}
  {{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
  {{- if regexMatch "^[0-9]" $name -}}
    {{- $name = printf "tw-%s" $name -}}
  {{- end -}}
{{- end -}}
{{- $name | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "tallywire.selector" -}}
app.kubernetes.io/name: {{ include "tallywire.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: "gateway"
{{- end }}

{{- define "tallywire.redisSelector" -}}
app.kubernetes.io/name: {{ include "tallywire.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: "redis-dev"
{{- end }}

{{/* Labels of an object: a dict of root, selector (the name of a template above), and optionally more. */}}
{{- define "tallywire.labels" -}}
{{- $root := .root -}}
{{- include (get . "selector" | default "tallywire.selector") $root }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name ($root.Chart.Version | replace "+" "_") | quote }}
{{- range $key, $value := merge (dict) (get . "more" | default dict) $root.Values.commonLabels }}
{{ $key | quote }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Labels of a pod: nothing that changes when the chart changes and the program does not, since that would move every client. */}}
{{- define "tallywire.podLabels" -}}
{{- $root := .root -}}
{{- include .selector $root }}
{{- range $key, $value := merge (dict) (get . "more" | default dict) $root.Values.commonLabels }}
{{ $key | quote }}: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* The metadata of an object: a dict of root, name, and optionally selector, labels, annotations, namespace. */}}
{{- define "tallywire.metadata" -}}
name: {{ .name | quote }}
namespace: {{ get . "namespace" | default .root.Release.Namespace | quote }}
labels:
  {{- include "tallywire.labels" (dict "root" .root "selector" (get . "selector") "more" (get . "labels")) | nindent 2 }}
{{- with merge (dict) (get . "annotations" | default dict) .root.Values.commonAnnotations }}
annotations:
  {{- range $key, $value := . }}
  {{ $key | quote }}: {{ $value | quote }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "tallywire.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "tallywire.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "tallywire.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{- printf "%s@%s" .repository .digest -}}
{{- else -}}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The names under which a Service is reached within the cluster, one a line. */}}
{{- define "tallywire.serviceNames" -}}
{{- $qualified := printf "%s.%s" .name .root.Release.Namespace -}}
{{ .name }}
{{ $qualified }}
{{ $qualified }}.svc
{{ $qualified }}.svc.{{ .root.Values.clusterDomain }}
{{- end }}

{{- define "tallywire.adminName" -}}
{{- include "tallywire.fullname" . }}-admin
{{- end }}

{{- define "tallywire.servicePort" -}}
{{- get .Values.service "port" | default (ternary 443 80 (ne .Values.tls.existingSecret "")) | int -}}
{{- end }}

{{/* The container's port for clients, by name. */}}
{{- define "tallywire.portName" -}}
{{- ternary "https" "http" (ne .Values.tls.existingSecret "") -}}
{{- end }}
