"""PESQ (ITU-T P.862, narrow or wide band) of pairs of recordings.

Arguments: a sampling rate (8000 or 16000) and a file whose lines name a reference and what became of it, as 16-bit samples
in the machine's byte order. Prints one score a line.
"""
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from pesq import pesq


def score(line):
    reference, heard = (np.fromfile(name, dtype=np.int16) for name in line.split())
    return pesq(RATE, reference, heard, "nb" if RATE == 8000 else "wb")


RATE = int(sys.argv[1])
with ProcessPoolExecutor() as pool, open(sys.argv[2], encoding="utf-8") as pairs:
    for result in pool.map(score, list(pairs), chunksize=4):
        print(f"{result:.4f}")
