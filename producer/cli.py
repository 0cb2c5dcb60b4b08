"""The API's side of the command line: joins its commands, nothing else."""

from producer.commands.keys import keys
from producer.commands.labels import labels
from producer.commands.predict import predict
from producer.commands.replay import replay
from producer.commands.serve import serve

COMMANDS = (serve, keys, predict, replay, labels)
