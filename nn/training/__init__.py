"""Training: one loop over batches from memory or files, as Values or compiled."""

from nn.training.fitting import fit
from nn.training.history import History, TrainingError, finished

__all__ = ["History", "TrainingError", "finished", "fit"]
