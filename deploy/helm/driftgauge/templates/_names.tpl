{{/* What the parts share. Names begin with the release's, so that two fit into one namespace. */}}

{{- define "driftgauge.name" -}}
{{- if eq .Release.Name "driftgauge" -}}
driftgauge
{{- else -}}
{{ printf "%s-driftgauge" .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* Labels by which a part's pods are found: (list $ "api"). */}}
{{- define "driftgauge.selector" -}}
app.kubernetes.io/name: driftgauge
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "driftgauge.labels" -}}
{{ include "driftgauge.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ printf "%s-%s" (index . 0).Chart.Name (index . 0).Chart.Version }}
{{- end -}}

{{- define "driftgauge.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Name of the claim of the registry; empty if the registry is in object storage. */}}
{{- define "driftgauge.registry" -}}
{{- if not .Values.registry.url -}}
{{ .Values.registry.claim.existing | default (printf "%s-registry" (include "driftgauge.name" .)) }}
{{- end -}}
{{- end -}}
