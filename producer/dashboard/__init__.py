"""The dashboard: pages that the API serves, live through one stream of server-sent events each."""
