"""Delays and false alarms of our detectors and of common ones: seeded, with confidence intervals.

python -m benchmarks.detection [--quick] [--data FOLDER]

traffic       references, streams without drift, and what is injected into them
contestants   our detectors, river's, and rules on windows with fixed thresholds
scoring       events per false alarm, median delays, their confidence intervals
synthetic     table: delays and false alarms, one feature alone and one of 18
fixed         table: how often the usual fixed thresholds alarm without any drift
real          table: rows of real files in random order
calm          table: false incidents in rows of real files (benchmarks.detection.incidents)
errors        table: delays and false alarms on the errors of labelled predictions
ordered       table: rows of real files in order of time
ddm           table: what thresholds of DDM mean (python -m benchmarks.detection.ddm)
"""
