"""PyTorch: a module as a graph of Values, and a check of the backward passes it defines itself."""

from autograd.bridges.rules import Fault, RuleReport
from autograd.bridges.torch_model import TorchModel, from_torch
from autograd.bridges.torch_rules import check_rules

__all__ = ["Fault", "RuleReport", "TorchModel", "check_rules", "from_torch"]
