{{/* What the pod of `helm test` is made of. */}}

{{- define "tallywire.testSelector" -}}
app.kubernetes.io/name: {{ include "tallywire.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/component: "test"
{{- end }}

{{- define "tallywire.testData" -}}
{{- dict "component" "helm-test" "status" "operational" "message" . | toJson -}}
{{- end }}

{{- define "tallywire.testURL" -}}
{{- .Values.tests.url | default (printf "%s://%s.%s.svc:%s" (include "tallywire.portName" .) (include "tallywire.fullname" .) .Release.Namespace (include "tallywire.servicePort" .)) -}}
{{- end }}

{{- define "tallywire.testContainer" -}}
image: {{ include "tallywire.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
env:
  - name: POD_UID
    valueFrom:
      fieldRef:
        fieldPath: metadata.uid
  - name: TALLYWIRE_URL
    value: {{ include "tallywire.testURL" . | quote }}
  {{- if .Values.tests.tokenSecret }}
  {{- include "tallywire.secretVariable" (dict "name" "TALLYWIRE_TOKEN" "secret" .Values.tests.tokenSecret "key" .Values.tests.tokenKey) | nindent 2 }}
  {{- end }}
  {{- if include "tallywire.trusts" . }}
  - name: SSL_CERT_DIR
    value: "/etc/ssl/certs:/etc/tallywire/ca"
  {{- end }}
resources:
  requests: {cpu: 10m, memory: 32Mi}
  limits: {memory: 64Mi}
securityContext:
  {{- toYaml .Values.securityContext | nindent 2 }}
{{- if include "tallywire.trusts" . }}
volumeMounts:
  {{- include "tallywire.mount" (dict "name" "ca") | trim | nindent 2 }}
{{- end }}
{{- end }}
