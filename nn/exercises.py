"""The exercises at the end of each notebook: `check("1.3", 0.5)` says "right!" or what is wrong."""

from nn.study.exercises import Feedback, check, names

__all__ = ["Feedback", "check", "names"]
