"""The one error tree: the class says what the caller must do. Raised everywhere, mapped to exit codes once (omega.cli).

OmegaError
├── ConfigError       a human edits something, then starts again
│   └── EnvironmentFault  ... on this machine: a port, a disk, a server; what must not stop waits and tries again
├── TransientError    retrying is safe; back off first
├── Unresolved        never retry: find proof of what happened
├── Rejected          final: the other side said no and gave its code
├── Denied            final: a rule of our own said no
├── Stale             a deadline or an age limit has passed: drop it
├── Fenced            the lease is lost: stop writing at once
├── CorruptData       quarantine the input and report it
└── InvariantBroken   crash the process; going on would make it worse
    └── DamagedStore  ... and a human brings the file back before the next start
"""


class OmegaError(Exception):
    """Base of everything the farm raises on purpose.

    Attributes:
        exit_code: what the command line exits with (1 a finding, 2 usage, 3 environment).
    """

    exit_code = 1


class ConfigError(OmegaError):
    """A human has to edit a setting, a file or a command line."""

    exit_code = 2


class EnvironmentFault(ConfigError):  # noqa: N818 - see Unresolved
    """The machine lacks something: a port is taken, a disk is full, a server does not answer."""

    exit_code = 3


class TransientError(OmegaError):
    """The operation failed without effect; retrying it is safe."""

    exit_code = 3


class Unresolved(OmegaError):  # noqa: N818 - an outcome, not an error: the four outcomes read alike
    """The effect is unknown. Never repeat the operation: look for proof.

    Attributes:
        code: the venue's own code, empty when there was no answer at all.
    """

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Rejected(OmegaError):  # noqa: N818 - see Unresolved
    """The other side refused, finally.

    Attributes:
        code: the venue's own code.
        kind: the gateway's class of the refusal (FUNDS, RULES, RATE, ...).
    """

    def __init__(self, message: str, *, code: str = "", kind: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


class Denied(OmegaError):  # noqa: N818 - see Unresolved
    """A rule of the farm refused.

    Attributes:
        rule: the name of the rule, for people and for metrics.
    """

    def __init__(self, message: str, *, rule: str = "") -> None:
        super().__init__(message)
        self.rule = rule


class Stale(OmegaError):  # noqa: N818 - a state of the data, not a failure of code
    """A deadline has passed, or the data are older than the rule allows."""


class Fenced(OmegaError):  # noqa: N818 - see Stale
    """Somebody newer holds the lease. Stop writing."""


class CorruptData(OmegaError):  # noqa: N818 - see Stale
    """The input breaks its own format. Keep it aside and say where."""


class InvariantBroken(OmegaError):  # noqa: N818 - see Stale
    """The program contradicts itself. Crash, restart, recover."""


class DamagedStore(InvariantBroken):
    """A file or database that the process lives by is damaged. Stop, keep it, restore it, then start again."""

    exit_code = 3
