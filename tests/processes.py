"""What a script prints in a process of its own."""

import subprocess
import sys


def printed(script: str) -> str:
    """The text that the script prints; CalledProcessError if it fails."""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return run.stdout
