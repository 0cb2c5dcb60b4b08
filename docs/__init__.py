"""The documentation: pages, and the code that makes a site of them (`make docs`)."""
