"""Steps whose loss or gradient is not finite."""

from tasd.config import Config
from tasd.errors import UserError
from tasd.runs.checkpoint import Progress
from tasd.runs.folder import Run
from tasd.runs.repair import newest_finite
from tasd.training.log import RunLog
from tasd.training.step import StepMetrics


def tolerate(now: Progress, metrics: StepMetrics, config: Config, run: Run, log: RunLog) -> None:
    """Report such a step. Raises `UserError` where there were more than the config tolerates."""
    terms = ", ".join(f"{name} {term['raw']:.4g}" for name, term in metrics.terms.items())
    where = f"episode {now.episode} (seed {config.training.seed}): loss is not finite: {terms}"
    if now.skipped > config.training.skip_nonfinite:
        raise UserError(
            f"{where}; {newest_finite(run)}; lower optimiser.lr, or tolerate N such steps with "
            "--on-nonfinite skip N"
        )
    log.say(f"{where}; step skipped")
