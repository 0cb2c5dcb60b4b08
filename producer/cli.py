"""The API's side of the command line: joins its commands, nothing else."""

from driftgauge.producer.commands.keys import keys
from driftgauge.producer.commands.labels import labels
from driftgauge.producer.commands.predict import predict
from driftgauge.producer.commands.replay import replay
from driftgauge.producer.commands.serve import serve

COMMANDS = (serve, keys, predict, replay, labels)
