"""All settings: read once from environment variables (`DRIFTGAUGE_…`), validated, immutable."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from driftgauge.shared.errors import ConfigurationError

KEYS_FILE: Final = "keys.json"
"""Name of the file of the API keys in the data folder."""


@dataclass(frozen=True, slots=True)
class HookSettings:
    """The settings of a hook: a command or a webhook or none, cooldown in ms, time limit in s."""

    command: tuple[str, ...]
    webhook: SecretStr | None
    cooldown_ms: int
    timeout_s: float


class Settings(BaseSettings):
    """Settings of API, worker and command line.

    Each is set by the environment variable of its name in capitals with the prefix `DRIFTGAUGE_`.
    """

    model_config = SettingsConfigDict(
        env_prefix="DRIFTGAUGE_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    # Where everything is
    redis_url: str | None = None
    """Address of Redis: `redis://`, `rediss://` (TLS) or `unix://`; Sentinels: `redis+sentinel://`,
    `rediss+sentinel://`; a cluster: `redis+cluster://`, `rediss+cluster://`. Without it, `up` and
    `demo` start a private server, and the other commands use that of the deployment that runs in
    `data_dir`.
    """
    key_prefix: str = Field("dg", pattern=r"^[A-Za-z0-9:_-]{1,64}$")
    """Prefix of every key in Redis."""
    registry_dir: Path = Path("models/registry")
    """Folder of the registered model versions."""
    registry_url: str | None = Field(None, pattern=r"^s3://[^/]+(/.*)?$")
    """Registry in object storage instead of the folder: `s3://BUCKET/PREFIX`, with keys, region and
    address of the environment (`AWS_ACCESS_KEY_ID`, `AWS_REGION`, `AWS_ENDPOINT_URL`, …).
    """
    data_dir: Path = Path(".driftgauge")
    """Folder of the private Redis and of what the processes keep on disk. While `up` or `demo`
    runs, its deployment.json says where API, Redis and registry are; the environment goes before.
    """
    host: str = "127.0.0.1"
    """Address that the API listens on; one that other machines can reach needs API keys."""
    port: int = Field(8000, ge=1, le=65535)
    """Port that the API listens on."""
    api_url: str | None = Field(None, pattern=r"^https?://[^/]+(/.*)?$")
    """Address of the API for the commands that talk to one. Without it, that of the deployment that
    runs in `data_dir`, else `http://` with `host` and `port`.
    """
    root_path: str = Field("", pattern=r"^(/[A-Za-z0-9._~-]+)*$")
    """Path below which a proxy serves the API, such as `/monitoring`; links and redirects begin
    with it.
    """
    public_url: str | None = Field(None, pattern=r"^https?://[^/?#\s@]+(/[^?#\s]*)?$")
    """Address at which people reach the API, with the path of a proxy; notifications link to the
    page of their incident there.
    """
    default_model: str | None = None
    """Model of a `POST /predict` that names none; needed only if there are several models."""

    # Personal data, logs, keys and limits
    pii_key: SecretStr | None = Field(None, min_length=16)
    """Key of the hashes of personal features, at least 16 characters; needed only by schemas that
    hash a feature.
    """
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """Least severe lines that API and worker log; requests are logged at INFO."""
    access_log: bool = True
    """If true, the API logs a line for each request."""
    log_features: bool = False
    """If true, the line of a prediction has its features; personal ones are dropped or hashed as in
    events.
    """
    keys_file: Path | None = None
    """File of the API keys that `driftgauge keys` writes, which must be there; if unset,
    `data_dir`/keys.json, without which requests need no key.
    """
    api_key: SecretStr | None = None
    """Key that the command line's clients (`replay`) send to the API."""
    allowed_hosts: str = Field("", pattern=r"^[A-Za-z0-9.,_-]*$")
    """Host names, besides localhost, that requests to an API without keys may use: separated by
    commas, without ports.
    """
    session_hours: float = Field(12, gt=0)
    """Lifetime of a browser's login, in hours."""
    requests_per_second: int = Field(2000, ge=0)
    """Most requests a second to one API process, from one key or, without keys, from one address of
    another machine; 0 is no limit.
    """
    max_connections: int = Field(4096, ge=1)
    """Most connections to one API process, half of them from one address; fewer where the system's
    limit of open files has no room for them.
    """
    predict_max_bytes: int = Field(1 << 20, ge=1)
    """Largest body of `POST /predict`, in bytes."""
    events_max_bytes: int = Field(16 << 20, ge=1)
    """Largest body of `POST /events` and `POST /labels`, in bytes."""
    events_max_rows: int = Field(10_000, ge=1)
    """Most events in one `POST /events`, and most labels in one `POST /labels`."""

    # Metrics for Prometheus
    metrics_features: int = Field(200, ge=0, le=10_000)
    """Most features, over all models, that `/metrics` has series of: the worst. The others are
    counted.
    """
    metrics_segments: int = Field(100, ge=0, le=10_000)
    """Most segments, over all models, that `/metrics` has series of: the worst. The others are
    counted.
    """

    # Publishing and predicting
    queue_events: int = Field(100_000, ge=1)
    """Most events that wait in the API's memory for Redis and the spool; beyond it events are
    dropped and counted.
    """
    ack_timeout_ms: int = Field(500, ge=1)
    """Longest time, in ms, that `/predict` waits until its event is in Redis or on disk; after that
    the answer says that the event is queued.
    """
    publish_mode: Literal["ack", "spool_first", "replicated"] = "ack"
    """`ack`: events go to Redis, and to disk while Redis is away. `spool_first`: events go to disk,
    and from there to Redis. `replicated`: as `ack`, and a replica must have them too (WAIT).
    """
    spool_max_bytes: int = Field(1 << 30, ge=1)
    """Largest spool of an API process in `data_dir`/spool, in bytes; `spool_first` needs room for
    some seconds of traffic.
    """
    ring_max_bytes: int = Field(128 << 20, ge=0)
    """Most memory, in bytes, for the acknowledged events of the last seconds, which are sent again
    if Redis restarts or fails over; if they are larger, fewer are kept.
    """
    ring_seconds: float = Field(60, ge=0)
    """Longest time, in seconds, that acknowledged events are kept for a replica that has not
    confirmed them: the longest lag with which a replica may take over. Confirmed, or without
    replicas, they are kept for 5 s.
    """
    score_batch_rows: int = Field(256, ge=1)
    """Most requests that share one model call, and most rows of a batch in one model call."""
    model_timeout_seconds: float = Field(10, gt=0)
    """Longest time of a model call, in seconds. What waits for it then is answered 503, and so are
    later requests for that version until the call returns.
    """
    register_max_bytes: int = Field(1 << 30, ge=1)
    """Largest body of `POST /models/{m}/versions`, in bytes; it is on disk, in `data_dir`, until
    the version is registered.
    """
    register_joblib: bool = False
    """If true, `POST /models/{m}/versions` takes joblib files, which run code when they are loaded:
    whoever has a key with the scope admin can then run code as the API.
    """
    batch_max_rows: int = Field(100_000, ge=1)
    """Most rows of a batch."""
    batch_max_bytes: int = Field(1 << 29, ge=1)
    """Largest body of a batch, in bytes; while it is scored it is on disk, in `data_dir`."""

    # Counting and judging
    pane_events: int = Field(250, ge=1)
    """Events after which a pane is full."""
    pane_seconds: int = Field(3600, ge=1)
    """Logical seconds after which a pane closes, however few events it has."""
    window_events: int = Field(2000, ge=1)
    """Least events of a window, which consists of whole panes."""
    window_days: int = Field(7, ge=1)
    """Panes older than this many logical days leave the window."""
    min_window_rows: int = Field(500, ge=1)
    """Least rows of a window; with fewer, drift is INSUFFICIENT_DATA."""
    min_reference_rows: int = Field(1000, ge=1)
    """Least rows of a reference; with fewer, drift is INSUFFICIENT_DATA."""
    performance_drop: float = Field(0.05, gt=0, lt=1)
    """A metric that is worse than its baseline by more than this share of it, and significantly so,
    is CRITICAL.
    """
    labelled_rows: int = Field(2000, ge=1)
    """Least labelled predictions of the window that the performance is measured on, which consists
    of whole panes.
    """
    labelled_days: int = Field(28, ge=1)
    """Panes older than this many logical days leave the labelled window."""
    min_labelled_rows: int = Field(200, ge=2)
    """Least labelled predictions; with fewer, the performance is INSUFFICIENT_DATA."""
    expected_events_per_day: int = Field(100_000, ge=1)
    """Assumed traffic of a model until a whole logical day of it was measured."""
    false_alarms_per_month: float = Field(1.0, gt=0)
    """False alarms that a model may raise in 30 days; the rules share this budget."""
    detectors: Annotated[tuple[str, ...], NoDecode] = (
        "e_detector",
        "integrity",
        "stuck",
        "adwin",
        "ddm",
    )
    """Online detectors that run, separated by commas; an empty value runs none."""
    snapshot_seconds: int = Field(3600, ge=1)
    """Logical seconds between snapshot reports."""
    snapshot_events: int = Field(50_000, ge=1)
    """Events between snapshot reports."""

    # Hooks and reports
    retrain_command: Annotated[tuple[str, ...], NoDecode] = ()
    """Program and arguments, as a JSON list, that are run without a shell on a critical incident
    whose action is `retrain`. See docs/hooks.md.
    """
    retrain_webhook: SecretStr | None = None
    """http or https address that such an incident is posted to instead of running a command; it is
    never logged.
    """
    retrain_cooldown_hours: float = Field(24, ge=0)
    """Least time between two starts of a model's retraining, in hours by Redis's clock."""
    retrain_timeout_seconds: float = Field(3600, gt=0)
    """Longest time that a retraining may run before it is ended."""
    rollback_command: Annotated[tuple[str, ...], NoDecode] = ()
    """Program and arguments, as a JSON list, that are run without a shell on a critical incident
    whose action is `roll_back`, such as `["driftgauge", "models", "rollback", "--incident", "-"]`.
    See docs/hooks.md.
    """
    rollback_webhook: SecretStr | None = None
    """http or https address that such an incident is posted to instead of running a command; it is
    never logged.
    """
    rollback_cooldown_hours: float = Field(24, ge=0)
    """Least time between two starts of a model's rollback, in hours by Redis's clock; what comes
    within it rolls nothing back.
    """
    rollback_timeout_seconds: float = Field(300, gt=0)
    """Longest time that a rollback may run before it is ended."""
    reports_dir: Path = Path("reports")
    """Folder to which the worker writes the reports, in a folder for each model."""
    reports_kept: int = Field(500, ge=0)
    """Most reports of a model that the worker keeps; 0 writes none."""
    reports_days: float = Field(30, gt=0)
    """Days after which the worker removes a report that it wrote."""
    reports_megabytes: float = Field(200, gt=0)
    """Most MB that the reports of a model take; the worker removes the oldest, and keeps the
    latest."""

    # The archive
    archive_url: str | None = Field(None, min_length=1)
    """Where the workers archive every prediction and label as Parquet: the path of a folder, or
    `file://`, `s3://`, `gs://` or `az://` with keys and region of the environment; the same for all
    workers, and for the APIs, which show what is in it. Without it nothing is archived. See
    docs/archive.md.
    """
    archive_seconds: float = Field(60, gt=0)
    """Age of the oldest entry that is not archived, in seconds, at which a file is written."""
    archive_rows: int = Field(100_000, ge=1)
    """Predictions of a partition that wait to be archived at which a file is written earlier."""
    archive_days: int = Field(0, ge=0)
    """Days for which the archive keeps rows, by their own dates; workers remove
    whole days that are older. 0 keeps all.
    """
    archive_days_of: Annotated[dict[str, int], NoDecode] = Field(default_factory=dict)
    """The same for some models, as a JSON object by their names, such as `{"steel": 30}`."""
    archive_lag_hours: float = Field(72, gt=0)
    """Longest time that the log waits for an archive that does not answer, in hours; it waits less
    if Redis has no room.
    """

    # Alerts
    policy_file: Path | None = None
    """TOML file with the rules and thresholds of each model, and the routes of notifications; a
    change is taken up without a restart: see docs/policy.md.
    """
    cooldown_seconds: int = Field(3600, ge=0)
    """Logical seconds after an alert resolved in which it does not fire again."""
    renotify_seconds: int = Field(0, ge=0)
    """Logical seconds until the first reminder of an alert that goes on; each later reminder comes
    after twice the time. 0: none, since what stands was told.
    """
    renotify_max_seconds: int = Field(604_800, ge=60)
    """Longest time between two reminders, in logical seconds."""
    trace_url: str | None = Field(None, pattern=r"^https?://[^\s{}]+\{trace\}[^\s{}]*$")
    """Address of a trace in your tracing system, with `{trace}` in the place of its id, such as
    `http://localhost:16686/trace/{trace}`; the pages of alerts link to it. See docs/tracing.md.
    """

    # Labels
    label_wait_hours: float = Field(168, gt=0)
    """Time that a prediction waits for its label, and that a label can be corrected, in hours of
    entry time; rounded up to whole days.
    """
    label_pending_max: int = Field(1_000_000, ge=1)
    """Most predictions of a partition that wait for labels, about 115 bytes of Redis each;
    labels of further ones are ignored.
    """

    # The worker, and what Redis keeps
    worker_host: str = "127.0.0.1"
    """Address on which a worker tells its metrics and health; one that other machines can reach
    needs API keys.
    """
    worker_port: int = Field(0, ge=0, le=65535)
    """Port on which a worker tells them, for each worker of a machine another one; 0 is none."""
    worker_processes: int = Field(0, ge=0, le=2)
    """Processes of a worker: 2 judge, report and notify in a process of their own, beside the one
    that counts; 1 does all in one, which takes 90 MB less; 0 is 2 where there is more than one
    core.
    """
    lease_ms: int = Field(5000, ge=300)
    """Time that a worker owns a partition before it has to renew its lease, in ms."""
    commit_ms: int = Field(1000, ge=10)
    """Longest time between commits, in ms; at most a third of the lease."""
    commit_events: int = Field(50_000, ge=1)
    """Most events between commits."""
    log_retention_hours: float = Field(24, ge=0)
    """Time that counted entries stay in the log, in hours of entry time."""
    max_memory_share: float = Field(0.8, gt=0, le=1)
    """Share of Redis's `maxmemory` above which counted entries are deleted from the log earlier."""
    spool_max_age_hours: int = Field(168, ge=1)
    """Longest age of a spooled event, in hours of entry time; a publisher that is silent for
    longer is retired.
    """
    client_ids_max: int = Field(1_000_000, ge=1)
    """Most ids of clients that a partition remembers to count a repeated one once, 8 bytes of Redis
    each. They are kept for as long as a spool may live; beyond the number the oldest are forgotten.
    """
    pane_retention_hours: float = Field(24, gt=0)
    """Time that panes stay as they are, in hours of entry time."""
    hour_retention_days: int = Field(14, ge=1)
    """Time that the panes' sums of a logical hour are kept, in days of entry time."""
    day_retention_days: int = Field(400, ge=1)
    """Time that the panes' sums of a logical day are kept, in days of entry time."""

    # The watchdog
    watchdog_seconds: float = Field(5, gt=0)
    """Pause between two checks of a model by the watchdog, in seconds."""
    blind_worker_seconds: float = Field(15, ge=0)
    """Seconds that a partition with waiting entries may be without a worker; longer than a lease,
    because a hand-over to another worker may take that long.
    """
    blind_lag_seconds: float = Field(60, gt=0)
    """Largest age of the oldest uncounted entry, in seconds; if it is older, the worker does not
    keep up.
    """
    loss_after_seconds: float = Field(30, gt=0)
    """Seconds after which an event whose number is missing counts as lost, if no API process says
    that it holds it.
    """
    dead_letters_per_hour: int = Field(10, ge=0)
    """Most unreadable entries within an hour without an alert."""
    refused_per_hour: int = Field(5, ge=0)
    """Most refused events within an hour without an alert; nor is there one for less than a
    thousandth of them.
    """
    silent_after_seconds: float = Field(0, ge=0)
    """Seconds without events that raise an alert; 0 derives them from the last day's traffic."""

    @field_validator("detectors", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        """Parse the environment variable: names separated by commas, or a JSON list."""
        if not isinstance(given, str):
            return given
        if given.lstrip().startswith("["):
            return _json_list(given)
        return tuple(name.strip() for name in given.split(",") if name.strip())

    @field_validator("retrain_command", "rollback_command", mode="before")
    @classmethod
    def _arguments(cls, given: object) -> object:
        return _json_list(given) if isinstance(given, str) and given.strip() else given or ()

    @field_validator("archive_days_of", mode="before")
    @classmethod
    def _days_of(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        try:
            return msgspec.json.decode(given or "{}", type=dict[str, int])
        except msgspec.MsgspecError as error:
            raise ValueError(
                'must be a JSON object of days by model, such as {"steel": 30}'
            ) from error

    @field_validator("archive_days_of")
    @classmethod
    def _whole_days(cls, given: dict[str, int]) -> dict[str, int]:
        if any(days < 0 for days in given.values()):
            raise ValueError("must be at least 0 days for each model; 0 keeps all")
        return given

    @field_validator("retrain_webhook", "rollback_webhook")
    @classmethod
    def _address(cls, given: SecretStr | None, known: ValidationInfo) -> SecretStr | None:
        if given is None:
            return None
        parts = urlsplit(given.get_secret_value())
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("must be an http or https address")
        command = f"{known.field_name}".replace("webhook", "command")
        if known.data.get(command):
            raise ValueError(f"cannot go with DRIFTGAUGE_{command.upper()}; unset one of the two")
        return given

    def archive_days_for(self, model: str) -> int:
        """Return for how many days the archive keeps a model's rows; 0 is for ever.

        >>> Settings(archive_days=400, archive_days_of={"steel": 30}).archive_days_for("steel")
        30
        """
        return self.archive_days_of.get(model, self.archive_days)

    def hook(self, setting: Literal["retrain", "rollback"]) -> HookSettings:
        """Return the settings of a hook."""
        if setting == "retrain":
            return HookSettings(
                self.retrain_command,
                self.retrain_webhook,
                int(self.retrain_cooldown_hours * 3_600_000),
                self.retrain_timeout_seconds,
            )
        return HookSettings(
            self.rollback_command,
            self.rollback_webhook,
            int(self.rollback_cooldown_hours * 3_600_000),
            self.rollback_timeout_seconds,
        )

    @property
    def pii_secret(self) -> str | None:
        """Key of the hashes in clear text. It must never be logged."""
        return None if self.pii_key is None else self.pii_key.get_secret_value()

    @property
    def keys_path(self) -> Path:
        """Path of the file of the API keys."""
        return self.keys_file or self.data_dir / KEYS_FILE

    @property
    def keys_required(self) -> bool:
        """Whether there must be a file of the API keys: one was named. A deployment names that of
        its own data folder to all commands, whether it is there yet or not.
        """
        usual = (self.data_dir / KEYS_FILE).absolute()
        return self.keys_file is not None and self.keys_file.absolute() != usual

    @property
    def host_names(self) -> frozenset[str]:
        """The host names of `allowed_hosts`, in lower case."""
        return frozenset(self.allowed_hosts.lower().split(",")) - {""}


def _json_list(text: str) -> tuple[str, ...]:
    """Parse a JSON list of texts; ValueError if it is none."""
    try:
        return msgspec.json.decode(text, type=tuple[str, ...])
    except msgspec.MsgspecError as error:
        raise ValueError('must be a JSON list of texts, such as ["python", "train.py"]') from error


def read_settings(**overrides: object) -> Settings:
    """Read the settings from the environment.

    Parameters
    ----------
    overrides
        Settings by name that replace those of the environment; None replaces nothing.

    Raises
    ------
    ConfigurationError
        If a setting cannot be used; the message names all such settings.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # pydantic validates what mypy cannot see here
    except ValidationError as error:
        faults = "; ".join(
            f"DRIFTGAUGE_{'_'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        raise ConfigurationError(f"These settings cannot be used: {faults}.") from error
