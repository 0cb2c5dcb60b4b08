"""The rules: what each holds against what, and the policy file that changes them. Pure."""
