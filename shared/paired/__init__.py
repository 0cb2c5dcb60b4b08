"""Which of two versions is better, by their losses on the same labelled rows. Pure.

`losses` is what both lose on each row, `sequence` a confidence sequence of the mean difference that
holds however often one looks, and `difference` the verdict of it in words.
"""
