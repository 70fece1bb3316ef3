{{/* The gateways' settings: tallywire.yaml, and the environment for what is secret. */}}

{{/* The host names that the gateways answer to, as a YAML list. */}}
{{- define "tallywire.allowedHosts" -}}
{{- $own := include "tallywire.serviceNames" (dict "root" . "name" (include "tallywire.fullname" .)) | splitList "\n" -}}
{{- $admin := include "tallywire.serviceNames" (dict "root" . "name" (include "tallywire.adminName" .)) | splitList "\n" -}}
{{- $hosts := concat .Values.gateway.allowedHosts -}}
{{- if .Values.ingress.enabled -}}
  {{- $hosts = concat $hosts .Values.ingress.hosts -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
  {{- $hosts = concat $hosts .Values.httpRoute.hostnames -}}
{{- end -}}
{{- concat $hosts $own $admin | uniq | toYaml -}}
{{- end }}

{{- define "tallywire.settings" -}}
{{- $v := .Values -}}
{{- $s := dict
  "listen" ":8080"
  "admin-listen" ":9090"
  "allowed-hosts" (include "tallywire.allowedHosts" . | fromYamlArray)
  "redis-prefix" $v.redis.prefix
  "auth-issuer" $v.auth.issuer
  "auth-audience" $v.auth.audience
  "admin-audience" $v.auth.adminAudience
  "drain-wait" (printf "%ds" (int $v.drain.waitSeconds))
  "drain-window" (printf "%ds" (int $v.drain.windowSeconds))
  "max-connections" (int $v.gateway.maxConnections)
  "connection-rate" (int $v.gateway.connectionRate)
  "log-level" $v.gateway.logLevel
  "log-format" "json"
-}}
{{- with $v.gateway.allowedOrigins }}{{ $_ := set $s "allowed-origins" . }}{{ end -}}
{{- with $v.gateway.maxConnectionAge }}{{ $_ := set $s "max-connection-age" . }}{{ end -}}
{{- with $v.gateway.namespaces }}{{ $_ := set $s "namespaces" . }}{{ end -}}
{{- with $v.auth.jwksURL }}{{ $_ := set $s "auth-jwks" . }}{{ end -}}
{{- if $v.auth.publicKeys.existingConfigMap -}}
  {{- $files := list -}}
  {{- range $v.auth.publicKeys.keys }}{{ $files = append $files (printf "/etc/tallywire/keys/%s" .) }}{{ end -}}
  {{- $_ := set $s "auth-key" $files -}}
{{- end -}}
{{- if $v.auth.insecure }}{{ $_ := set $s "insecure" true }}{{ end -}}
{{- if include "tallywire.schemasName" . }}{{ $_ := set $s "schemas" "/etc/tallywire/schemas" }}{{ end -}}
{{- if $v.schemas.strict }}{{ $_ := set $s "strict" true }}{{ end -}}
{{- with $v.tracing.otlpEndpoint }}{{ $_ := set $s "otlp-endpoint" . }}{{ end -}}
{{- if $v.tls.existingSecret -}}
  {{- $_ := set $s "tls-cert" (printf "/etc/tallywire/tls/%s" $v.tls.certKey) -}}
  {{- $_ := set $s "tls-key" (printf "/etc/tallywire/tls/%s" $v.tls.keyKey) -}}
{{- end -}}
{{- $r := $v.redis -}}
{{- if not (or $r.existingSecret $r.dev.enabled) -}}
  {{- with $r.username }}{{ $_ := set $s "redis-username" . }}{{ end -}}
  {{- if eq $r.mode "sentinel" }}{{ with $r.sentinel.username }}{{ $_ := set $s "redis-sentinel-username" . }}{{ end }}{{ end -}}
{{- end -}}
{{- if include "tallywire.redisPair" . -}}
  {{- $_ := set $s "redis-cert-file" (printf "/etc/tallywire/redis/%s" $r.tls.certKey) -}}
  {{- $_ := set $s "redis-key-file" (printf "/etc/tallywire/redis/%s" $r.tls.keyKey) -}}
{{- end -}}
{{- merge $s $v.gateway.config | toYaml -}}
{{- end }}

{{/* The ConfigMap of the event types, nothing where there are none. */}}
{{- define "tallywire.schemasName" -}}
{{- if .Values.schemas.existingConfigMap -}}
{{- .Values.schemas.existingConfigMap -}}
{{- else if .Values.schemas.files -}}
{{- include "tallywire.fullname" . }}-schemas
{{- end -}}
{{- end }}

{{- define "tallywire.schemas" -}}
{{- range $file, $schema := .Values.schemas.files }}
{{ $file | quote }}: |
  {{- ternary $schema (toPrettyJson $schema) (kindIs "string" $schema) | trim | nindent 2 }}
{{- end }}
{{- end }}

{{/* The Secret with the certificate that Redis knows the gateways by, nothing where there is none. */}}
{{- define "tallywire.redisPair" -}}
{{- if not .Values.redis.dev.enabled }}{{ .Values.redis.tls.certSecret }}{{ end -}}
{{- end }}

{{/* The URL of Redis, made of its parts. Who the gateways are stands beside it: settings and variables need no escapes. */}}
{{- define "tallywire.redisURL" -}}
{{- $r := .Values.redis -}}
{{- if $r.dev.enabled -}}
redis://{{ include "tallywire.fullname" . }}-redis-dev:6379
{{- else -}}
{{- $scheme := get (dict "standalone" "redis" "sentinel" "redis-sentinel" "cluster" "redis-cluster") $r.mode -}}
{{- $parameters := list -}}
{{- if $r.tls.enabled }}{{ $parameters = append $parameters "tls=true" }}{{ end -}}
{{- if $r.database }}{{ $parameters = append $parameters (printf "db=%d" (int $r.database)) }}{{ end -}}
{{- if $r.poolSize }}{{ $parameters = append $parameters (printf "pool_size=%d" (int $r.poolSize)) }}{{ end -}}
{{- $scheme }}://
{{- join "," $r.hosts -}}
{{- if eq $r.mode "sentinel" }}/{{ $r.master }}{{ end -}}
{{- with $parameters }}?{{ join "&" . }}{{ end -}}
{{- end -}}
{{- end }}

{{/* A variable whose value is in a Secret: a dict of name, secret, key. */}}
{{- define "tallywire.secretVariable" -}}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret | quote }}
      key: {{ .key | quote }}
{{- end }}

{{- define "tallywire.environment" -}}
{{- $r := .Values.redis -}}
{{- with include "tallywire.goMemLimit" . }}
- name: GOMEMLIMIT
  value: {{ . | quote }}
{{- end }}
{{- if include "tallywire.trusts" . }}
- name: SSL_CERT_DIR
  value: "/etc/ssl/certs:/etc/tallywire/ca"
{{- end }}
{{- with .Values.auth }}
{{- if .existingSecret }}
{{ include "tallywire.secretVariable" (dict "name" "TALLYWIRE_AUTH_SECRET" "secret" .existingSecret "key" .secretKey) }}
{{- end }}
{{- end }}
{{- if and $r.existingSecret (not $r.dev.enabled) }}
{{ include "tallywire.secretVariable" (dict "name" "TALLYWIRE_REDIS" "secret" $r.existingSecret "key" $r.urlKey) }}
{{- else }}
{{- if and $r.passwordSecret (not $r.dev.enabled) }}
{{ include "tallywire.secretVariable" (dict "name" "TALLYWIRE_REDIS_PASSWORD" "secret" $r.passwordSecret "key" $r.passwordKey) }}
{{- end }}
{{- if and $r.sentinel.passwordSecret (eq $r.mode "sentinel") (not $r.dev.enabled) }}
{{ include "tallywire.secretVariable" (dict "name" "TALLYWIRE_REDIS_SENTINEL_PASSWORD" "secret" $r.sentinel.passwordSecret "key" $r.sentinel.passwordKey) }}
{{- end }}
- name: TALLYWIRE_REDIS
  value: {{ include "tallywire.redisURL" . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tallywire.trusts" -}}
{{- .Values.caCertificates.existingConfigMap | default .Values.caCertificates.existingSecret -}}
{{- end }}

{{- define "tallywire.caVolume" -}}
- name: ca
  {{- if .Values.caCertificates.existingConfigMap }}
  configMap:
    name: {{ .Values.caCertificates.existingConfigMap | quote }}
  {{- else }}
  secret:
    secretName: {{ .Values.caCertificates.existingSecret | quote }}
  {{- end }}
{{- end }}
