"""How many of the mistakes of four sets `diagnose` names, and how long it takes."""

import re
import time

from autograd import diagnose
from tests.slips import SLIPS
from tests.slips_elsewhere import REPORTED, TWO_LAYERS
from tests.slips_later import LATER


def main(options: list[str]) -> None:
    """Print a line for each mistake, and how many were named."""
    sets = {
        "two hidden layers, softmax and cross-entropy": [slip.case for slip in SLIPS],
        "one hidden layer, mean square, no scopes": TWO_LAYERS,
        "reported in public": REPORTED,
        "written later": LATER,
    }
    for title, cases in sets.items():
        print(title)
        named = 0
        for case in cases:
            start = time.perf_counter()
            said = diagnose(case.f, *case.inputs, gradient=case.claimed)
            seconds = time.perf_counter() - start
            good = bool(re.search(case.says, said.line))
            named += good
            print(f"  {'ok  ' if good else 'MISS'} {seconds:5.2f} s  {case.what}: {said}")
        print(f"  {named} of {len(cases)} named\n")
