"""What Kubernetes is given, as kubectl and Helm make it of deploy/kubernetes and deploy/helm."""
