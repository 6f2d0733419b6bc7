"""Losses of 50 steps by PyTorch, and the command that asks it again."""
