"""The worker's side of the command line: joins its commands, nothing else."""

from consumer.commands.alerts import alerts
from consumer.commands.backtest import backtest
from consumer.commands.calibrate import calibrate
from consumer.commands.compare import compare
from consumer.commands.models import models
from consumer.commands.references import reference
from consumer.commands.report import report
from consumer.commands.worker import worker

COMMANDS = (worker, models, calibrate, reference, backtest, alerts, report, compare)
