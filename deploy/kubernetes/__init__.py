"""What runs API and worker on Kubernetes: a base for kustomize, and overlays."""
