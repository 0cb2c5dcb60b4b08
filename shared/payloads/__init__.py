"""Bodies of inference requests and answers, as other servers write them. Pure."""
