"""The API's side of the command line, a file for each subject."""
