{{/*
What values.schema.json cannot say, since it takes several values together. All that is wrong is told at
once, and each line begins with the key.
*/}}
{{- define "tallywire.checks" -}}
{{- $v := .Values -}}
{{- $wrong := list -}}
{{- $keys := or $v.auth.existingSecret $v.auth.jwksURL $v.auth.publicKeys.existingConfigMap -}}
{{- if and $keys $v.auth.insecure -}}
  {{- $wrong = append $wrong "auth.insecure: excludes keys: either tokens are verified or everybody is let in" -}}
{{- else if not (or $keys $v.auth.insecure) -}}
  {{- $wrong = append $wrong "auth.existingSecret: no key to verify tokens with: set it, auth.jwksURL or auth.publicKeys.existingConfigMap; auth.insecure: true lets everybody in" -}}
{{- end -}}
{{- if and $v.auth.publicKeys.existingConfigMap (not $v.auth.publicKeys.keys) -}}
  {{- $wrong = append $wrong "auth.publicKeys.keys: name the files in auth.publicKeys.existingConfigMap" -}}
{{- end -}}
{{- $wrong = concat $wrong (include "tallywire.redisChecks" . | fromYamlArray) -}}
{{- $grace := include "tallywire.graceSeconds" . | int -}}
{{- $drain := include "tallywire.drainSeconds" . | int -}}
{{- if lt $grace $drain -}}
  {{- $wrong = append $wrong (printf "terminationGracePeriodSeconds: must be at least %d, the sum of drain.preStopSeconds, drain.waitSeconds, drain.windowSeconds and drain.slackSeconds, is %d: pods would be killed while they drain" $drain $grace) -}}
{{- end -}}
{{- with get $v "progressDeadlineSeconds" -}}
  {{- if le (int .) (include "tallywire.minReadySeconds" $ | int) -}}
    {{- $wrong = append $wrong (printf "progressDeadlineSeconds: must be more than minReadySeconds, %s, is %d" (include "tallywire.minReadySeconds" $) (int .)) -}}
  {{- end -}}
{{- end -}}
{{- with $v.autoscaling -}}
  {{- if and .enabled (lt (int .maxReplicas) (int .minReplicas)) -}}
    {{- $wrong = append $wrong (printf "autoscaling.maxReplicas: must be at least autoscaling.minReplicas, %d, is %d" (int .minReplicas) (int .maxReplicas)) -}}
  {{- end -}}
  {{- if and .enabled (not .targetConnections) (not .targetCPU) -}}
    {{- $wrong = append $wrong "autoscaling.targetConnections: is 0, and so is autoscaling.targetCPU: there is nothing to scale by" -}}
  {{- end -}}
  {{- if and .enabled .targetCPU (not (dig "requests" "cpu" "" $v.resources)) -}}
    {{- $wrong = append $wrong "autoscaling.targetCPU: is a part of what is requested, and resources.requests.cpu requests nothing" -}}
  {{- end -}}
  {{- if and .enabled $v.gateway.maxConnections (ge (int .targetConnections) (int $v.gateway.maxConnections)) -}}
    {{- $wrong = append $wrong (printf "autoscaling.targetConnections: must be less than gateway.maxConnections, %d, is %d: pods would refuse connections before there are more" (int $v.gateway.maxConnections) (int .targetConnections)) -}}
  {{- end -}}
  {{- if and .enabled (eq .engine "keda") .targetConnections (not .keda.serverAddress) -}}
    {{- $wrong = append $wrong "autoscaling.keda.serverAddress: the URL of the Prometheus that knows the connections" -}}
  {{- end -}}
{{- end -}}
{{- if and $v.metrics.podMonitor.enabled $v.metrics.serviceMonitor.enabled -}}
  {{- $wrong = append $wrong "metrics.serviceMonitor.enabled: excludes metrics.podMonitor.enabled: every number would be there twice" -}}
{{- end -}}
{{- if and $v.schemas.files $v.schemas.existingConfigMap -}}
  {{- $wrong = append $wrong "schemas.existingConfigMap: excludes schemas.files" -}}
{{- end -}}
{{- if and $v.caCertificates.existingConfigMap $v.caCertificates.existingSecret -}}
  {{- $wrong = append $wrong "caCertificates.existingSecret: excludes caCertificates.existingConfigMap" -}}
{{- end -}}
{{- if and $v.ingress.enabled (not $v.ingress.hosts) -}}
  {{- $wrong = append $wrong "ingress.hosts: name at least one: gateways answer only to the names that they know" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.parentRefs) -}}
  {{- $wrong = append $wrong "httpRoute.parentRefs: name the Gateway that the route belongs to" -}}
{{- end -}}
{{- if and $v.httpRoute.enabled (not $v.httpRoute.hostnames) -}}
  {{- $wrong = append $wrong "httpRoute.hostnames: name at least one: gateways answer only to the names that they know" -}}
{{- end -}}
{{- $alerts := include "tallywire.alertNames" . | fromYamlArray -}}
{{- range $v.metrics.prometheusRule.disabled -}}
  {{- if not (has . $alerts) -}}
    {{- $wrong = append $wrong (printf "metrics.prometheusRule.disabled: there is no alert %s: there are %s" . (join ", " $alerts)) -}}
  {{- end -}}
{{- end -}}
{{- range $v.extraEnv -}}
  {{- if has .name (list "TALLYWIRE_AUTH_SECRET" "TALLYWIRE_REDIS" "TALLYWIRE_LISTEN" "TALLYWIRE_ADMIN_LISTEN" "TALLYWIRE_DRAIN_WAIT" "TALLYWIRE_DRAIN_WINDOW") -}}
    {{- $wrong = append $wrong (printf "extraEnv: sets %s, which has a value of its own" .name) -}}
  {{- end -}}
{{- end -}}
{{- if $wrong -}}
  {{- fail (printf "the values do not fit together:\n  - %s\n" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end }}

{{/* A YAML list of what is wrong with redis. */}}
{{- define "tallywire.redisChecks" -}}
{{- $r := .Values.redis -}}
{{- $wrong := list -}}
{{- if $r.dev.enabled -}}
  {{- if or $r.existingSecret $r.hosts -}}
    {{- $wrong = append $wrong "redis.dev.enabled: excludes redis.existingSecret and redis.hosts" -}}
  {{- end -}}
{{- else if $r.existingSecret -}}
  {{- if $r.hosts -}}
    {{- $wrong = append $wrong "redis.hosts: excludes redis.existingSecret, which holds the whole URL" -}}
  {{- end -}}
{{- else -}}
  {{- if not $r.hosts -}}
    {{- $wrong = append $wrong "redis.hosts: no Redis: set it, redis.existingSecret or, for a trial, redis.dev.enabled" -}}
  {{- end -}}
  {{- if and (eq $r.mode "standalone") (gt (len $r.hosts) 1) -}}
    {{- $wrong = append $wrong "redis.hosts: several hosts, and redis.mode is standalone: set it to sentinel or cluster" -}}
  {{- end -}}
  {{- if and (eq $r.mode "sentinel") (not $r.master) -}}
    {{- $wrong = append $wrong "redis.master: the name by which the sentinels know the primary" -}}
  {{- end -}}
  {{- if and (ne $r.mode "sentinel") (or $r.master $r.sentinel.username $r.sentinel.passwordSecret) -}}
    {{- $wrong = append $wrong (printf "redis.mode: is %s, and redis.master or redis.sentinel is set" $r.mode) -}}
  {{- end -}}
  {{- if and (eq $r.mode "cluster") $r.database -}}
    {{- $wrong = append $wrong "redis.database: a cluster has database 0 only" -}}
  {{- end -}}
  {{- if and $r.username (not $r.passwordSecret) -}}
    {{- $wrong = append $wrong "redis.passwordSecret: a user needs a password" -}}
  {{- end -}}
  {{- if and $r.tls.certSecret (not $r.tls.enabled) -}}
    {{- $wrong = append $wrong "redis.tls.enabled: is false, and redis.tls.certSecret is set" -}}
  {{- end -}}
{{- end -}}
{{- toYaml $wrong -}}
{{- end }}
