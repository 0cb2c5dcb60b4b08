"""OpenTelemetry: traces and metrics for a collector, by OTLP, if the standard variables `OTEL_…`
ask for them. Without them we load nothing of it, and a step costs a look at a variable.
"""
