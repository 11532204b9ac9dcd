"""How the audio of Anteroom is filtered, levelled and measured: shared by the scripts that make it and the one that checks it."""
import numpy as np
import pyloudnorm
import soundfile
from scipy import signal

# Pass bands (Hz) of the two masters: the telephone's, and G.722's.
BANDS = {8000: (200, 3500), 16000: (100, 7000)}


def band_limit(samples, rate_in, rate_out):
    """Linear-phase band-pass, then resample. The delay of the filters is taken out: time 0 stays time 0."""
    low, high = BANDS[rate_out]
    stop = min(rate_out / 2, high * 1.13)
    taps, beta = signal.kaiserord(70, (stop - high) / (rate_in / 2))
    low_pass = signal.firwin(taps | 1, (high + stop) / 2, window=("kaiser", beta), fs=rate_in)
    taps, beta = signal.kaiserord(50, 40 / (rate_in / 2))  # from full to nothing in the 40 Hz below the band
    high_pass = signal.firwin(taps | 1, low - 20, window=("kaiser", beta), fs=rate_in, pass_zero=False)
    kernel = signal.fftconvolve(low_pass, high_pass)
    filtered = signal.fftconvolve(samples, kernel, mode="same")
    common = np.gcd(rate_in, rate_out)
    return signal.resample_poly(filtered, rate_out // common, rate_in // common, window=("kaiser", 12.0))


def db(power):
    return 10 * np.log10(max(power, 1e-20))


def peak_dbfs(samples):
    return 2 * db(np.max(np.abs(samples)))


def active_speech_level(samples, rate):
    """ITU-T P.56, method B: the level (dB to full scale) of the speech, its pauses left out."""
    smoothing = np.exp(-1 / (0.03 * rate))
    a, b = [1 - smoothing], [1, -smoothing]
    tail = np.zeros(int(0.2 * rate))  # so that the end of a short prompt is counted like its middle
    envelope = signal.lfilter(a, b, signal.lfilter(a, b, np.abs(np.concatenate([samples, tail]))))
    energy, hangover = np.sum(samples**2), int(0.2 * rate)
    before = None
    for exponent in range(1, 16):  # thresholds from loud to soft, until the level lies 15.9 dB above one
        threshold = 2.0**-exponent
        hot = np.flatnonzero(envelope >= threshold)
        if len(hot) == 0:
            continue
        active = int(np.sum(np.minimum(np.diff(hot, append=len(envelope)), hangover)))
        level = db(energy / active)
        excess = level - 2 * db(threshold) - 15.9
        if excess >= 0:
            if before is None:
                return level
            level_before, excess_before = before
            return level_before + (level - level_before) * excess_before / (excess_before - excess)
        before = (level, excess)
    return before[0]


def loudness(samples, rate):
    """ITU-R BS.1770 gated loudness, LUFS. Something shorter than a 400 ms block is one block."""
    shortest = int(np.ceil(0.4 * rate)) + 1
    if len(samples) < shortest:
        samples = np.pad(samples, (0, shortest - len(samples)))
    return pyloudnorm.Meter(rate).integrated_loudness(samples)


def band_share(samples, rate, low=300, high=3400):
    """The part of the energy that lies between two frequencies."""
    spectrum = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / rate)
    return float(np.sum(spectrum[(frequency >= low) & (frequency <= high)]) / np.sum(spectrum))


def write_wav(path, samples, rate):
    if np.max(np.abs(samples)) >= 1:
        raise ValueError(f"{path.name}: a sample lies above full scale")
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.round(samples * 32768).astype(np.int16), rate, subtype="PCM_16")


def read_wav(path):
    samples, rate = soundfile.read(path, dtype="int16")
    return samples / 32768.0, rate
