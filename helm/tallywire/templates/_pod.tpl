{{/* The parts of a gateway's pod. */}}

{{/* Even over zones and nodes, counted anew for each version so that a rollout leaves no heap. */}}
{{- define "tallywire.spread" -}}
{{- $set := get .Values "topologySpreadConstraints" -}}
{{- if not (kindIs "invalid" $set) -}}
{{- with $set -}}
topologySpreadConstraints:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- else -}}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "tallywire.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}
{{- end }}

{{- define "tallywire.container" -}}
{{- $v := .Values -}}
image: {{ include "tallywire.image" . | quote }}
imagePullPolicy: {{ $v.image.pullPolicy | quote }}
args: [serve, --config, /etc/tallywire/tallywire.yaml]
env:
  {{- include "tallywire.environment" . | trim | nindent 2 }}
ports:
  - name: {{ include "tallywire.portName" . }}
    containerPort: 8080
    protocol: TCP
  - name: admin
    containerPort: 9090
    protocol: TCP
startupProbe:
  httpGet:
    path: /healthz
    port: admin
  periodSeconds: {{ int $v.startupProbe.periodSeconds }}
  failureThreshold: {{ int $v.startupProbe.failureThreshold }}
readinessProbe:
  httpGet:
    path: /readyz
    port: admin
  periodSeconds: {{ int $v.readinessProbe.periodSeconds }}
  timeoutSeconds: {{ int $v.readinessProbe.timeoutSeconds }}
  failureThreshold: {{ int $v.readinessProbe.failureThreshold }}
livenessProbe:
  httpGet:
    path: /healthz
    port: admin
  periodSeconds: {{ int $v.livenessProbe.periodSeconds }}
  timeoutSeconds: {{ int $v.livenessProbe.timeoutSeconds }}
  failureThreshold: {{ int $v.livenessProbe.failureThreshold }}
{{- with int $v.drain.preStopSeconds }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ . }}
{{- end }}
{{- with $v.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  {{- toYaml $v.securityContext | nindent 2 }}
volumeMounts:
  {{- include "tallywire.mounts" . | nindent 2 }}
{{- end }}

{{/* A read-only mount below /etc/tallywire: a dict of name, and of path where it differs. */}}
{{- define "tallywire.mount" -}}
- name: {{ .name }}
  mountPath: /etc/tallywire/{{ get . "path" | default .name }}
  {{- with get . "file" }}
  subPath: {{ . }}
  {{- end }}
  readOnly: true
{{ end }}

{{/* The settings are mounted as one file: the pod is replaced when they change, and the folder has room for others. */}}
{{- define "tallywire.mounts" -}}
{{- $v := .Values -}}
{{- include "tallywire.mount" (dict "name" "config" "path" "tallywire.yaml" "file" "tallywire.yaml") -}}
{{- if include "tallywire.schemasName" . }}{{ include "tallywire.mount" (dict "name" "schemas") }}{{ end -}}
{{- if $v.auth.publicKeys.existingConfigMap }}{{ include "tallywire.mount" (dict "name" "keys") }}{{ end -}}
{{- if $v.tls.existingSecret }}{{ include "tallywire.mount" (dict "name" "tls") }}{{ end -}}
{{- if include "tallywire.redisPair" . }}{{ include "tallywire.mount" (dict "name" "redis") }}{{ end -}}
{{- if include "tallywire.trusts" . }}{{ include "tallywire.mount" (dict "name" "ca") }}{{ end -}}
- name: tmp
  mountPath: /tmp
{{- with $v.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tallywire.volumes" -}}
{{- $v := .Values -}}
- name: config
  configMap:
    name: {{ printf "%s-config" (include "tallywire.fullname" .) | quote }}
{{- with include "tallywire.schemasName" . }}
- name: schemas
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- with $v.auth.publicKeys.existingConfigMap }}
- name: keys
  configMap:
    name: {{ . | quote }}
{{- end }}
{{- with $v.tls.existingSecret }}
- name: tls
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- with include "tallywire.redisPair" . }}
- name: redis
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- if include "tallywire.trusts" . }}
{{ include "tallywire.caVolume" . }}
{{- end }}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with $v.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
