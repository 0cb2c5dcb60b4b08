"""The worker's side of the command line: joins its commands, nothing else."""

from driftgauge.consumer.commands.alerts import alerts
from driftgauge.consumer.commands.backtest import backtest
from driftgauge.consumer.commands.calibrate import calibrate
from driftgauge.consumer.commands.compare import compare
from driftgauge.consumer.commands.models import models
from driftgauge.consumer.commands.references import reference
from driftgauge.consumer.commands.report import report
from driftgauge.consumer.commands.worker import worker

COMMANDS = (worker, models, calibrate, reference, backtest, alerts, report, compare)
