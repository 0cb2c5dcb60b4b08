"""HTTP itself: problem answers, headers, proxies and path prefixes."""
