"""Every published figure: which command measures it, in which words, and where it stands."""
