"""Proof that the numbers are those of the original programs.

`python -m training.conformance DIR [--case GLOB] [--json FILE]` reads arrays that were recorded
from CenterTrack, CenterNet, simple-CenterNet and CenterNet-CondInst, runs the code of this
project on the recorded inputs and compares. There is one module per file of vectors; it says
where each original function lives now, and under which rules it gives the original's numbers.
"""
