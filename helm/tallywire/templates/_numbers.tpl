{{/* What follows from other values. */}}

{{/* Seconds from the decision to end a pod until nothing is left to do. */}}
{{- define "tallywire.drainSeconds" -}}
{{- with .Values.drain -}}
{{- add (int .preStopSeconds) (int .waitSeconds) (int .windowSeconds) (int .slackSeconds) -}}
{{- end -}}
{{- end }}

{{- define "tallywire.graceSeconds" -}}
{{- get .Values "terminationGracePeriodSeconds" | default (include "tallywire.drainSeconds" .) | int -}}
{{- end }}

{{- define "tallywire.minReadySeconds" -}}
{{- $set := get .Values "minReadySeconds" -}}
{{- ternary .Values.drain.windowSeconds $set (kindIs "invalid" $set) | int -}}
{{- end }}

{{/*
The clock starts anew with each pod that gets ready. Until then a new pod may have to wait for the place of
one that drains, to start, and to stay ready for a while.
*/}}
{{- define "tallywire.progressSeconds" -}}
{{- $start := mul (int .Values.startupProbe.periodSeconds) (int .Values.startupProbe.failureThreshold) -}}
{{- $one := add (include "tallywire.graceSeconds" . | int) $start (include "tallywire.minReadySeconds" . | int) 60 -}}
{{- get .Values "progressDeadlineSeconds" | default (max 600 $one) | int -}}
{{- end }}

{{/* Bytes of a quantity, as 512Mi or 1.5G. */}}
{{- define "tallywire.bytes" -}}
{{- $text := toString . -}}
{{- $number := regexFind "^[0-9]+(\\.[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text -}}
{{- $units := dict "" 1 "k" 1000 "M" 1000000 "G" 1000000000 "T" 1000000000000 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- if or (eq $number "") (not (hasKey $units $unit)) -}}
  {{- fail (printf "resources.limits.memory: cannot be read for GOMEMLIMIT, is %q: write it as 512Mi or 2Gi" $text) -}}
{{- end -}}
{{- mulf (float64 $number) (get $units $unit) | int64 -}}
{{- end }}

{{/* GOMEMLIMIT, nothing where memory is not limited. */}}
{{- define "tallywire.goMemLimit" -}}
{{- with dig "limits" "memory" "" .Values.resources -}}
{{- $bytes := include "tallywire.bytes" (ternary (int64 .) . (kindIs "float64" .)) -}}
{{- printf "%dMiB" (div (mul (int64 $bytes) (int64 $.Values.goMemLimitPercent)) 104857600) -}}
{{- end -}}
{{- end }}

{{/*
The number of pods. With autoscaling it is the scaler's affair; yet a Deployment without a number would get
one pod at first, and again when a number that an earlier release wrote disappears. So it is written: what
runs, or the fewest where nothing does.
*/}}
{{- define "tallywire.replicas" -}}
{{- if not .Values.autoscaling.enabled -}}
{{- .Values.replicas | int -}}
{{- else if .Values.autoscaling.seedReplicas -}}
{{- $live := lookup "apps/v1" "Deployment" .Release.Namespace (include "tallywire.fullname" .) -}}
{{- max (int .Values.autoscaling.minReplicas) (dig "spec" "replicas" 0 ($live | default dict) | int) -}}
{{- end -}}
{{- end }}

{{/* Whether more than one pod runs, and so one of them may be disrupted: "true" or nothing. */}}
{{- define "tallywire.disruptionBudget" -}}
{{- $set := get .Values.podDisruptionBudget "enabled" -}}
{{- $pods := ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled | int -}}
{{- if ternary (gt $pods 1) $set (kindIs "invalid" $set) -}}true{{- end -}}
{{- end }}
