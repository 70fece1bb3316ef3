{{/* Ports that gateways open connections to. */}}

{{- define "tallywire.urlPort" -}}
{{- $url := urlParse . -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- $port | default (ternary "443" "80" (eq $url.scheme "https")) -}}
{{- end }}

{{/* A YAML list. Sentinels tell the port of the primary, and nodes of a cluster those of the others: what they are, only redisPorts can say. */}}
{{- define "tallywire.redisPorts" -}}
{{- $ports := .Values.networkPolicy.redisPorts -}}
{{- if not $ports -}}
  {{- $ports = list 6379 -}}
  {{- if not .Values.redis.dev.enabled -}}
    {{- range .Values.redis.hosts -}}
      {{- with regexFind ":[0-9]+$" . -}}
        {{- $ports = append $ports (trimPrefix ":" . | int) -}}
      {{- end -}}
    {{- end -}}
    {{- if eq .Values.redis.mode "sentinel" }}{{ $ports = append $ports 26379 }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- $whole := list -}}
{{- range $ports }}{{ $whole = append $whole (int .) }}{{ end -}}
{{- uniq $whole | toYaml -}}
{{- end }}
