"""The policy file, as everybody sees it: at which line it is wrong, and which file is in force."""
