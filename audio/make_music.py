"""Writes, plays and masters the hold music, "Quiet Hours", and synthesizes the entry and exit chimes.

Usage: make_music.py AUDIO_FOLDER SCRATCH_FOLDER

The piece: D major, 80 beats a minute, 24 bars of four beats (72 s): A (piano), B (flute), A' (piano over strings).
The last chord leads into the first, so the loop is a round with no end. Everything sounds best between 300 and
3400 Hz, which is all that a telephone carries: the melody lies around D5, and the bass is felt by its overtones.
"""
import random
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import soundfile
from scipy import ndimage, signal

from measures import band_limit, loudness, peak_dbfs, write_wav

SOUNDFONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
RENDER_RATE = 48000
BEATS_PER_MINUTE, BEATS_PER_BAR, BARS = 80, 4, 24
TICKS_PER_BEAT = 480
LOOP_SECONDS = BARS * BEATS_PER_BAR * 60 / BEATS_PER_MINUTE
PASSES = 3  # the first brings the tails in, the second is kept, the third shows how the second goes on
HOLD_LUFS, HOLD_PEAK_DBFS = -23.0, -6.0
CHIME_LUFS = -24.0
TILT = {0: -12, 100: -10, 200: -6.5, 300: -3, 450: 0, 1000: 1.5, 2000: 3.5, 3400: 3, 7000: 0, 24000: 0}  # Hz: dB

# ---- The score. One line is four bars; a bar's events are NOTE:BEATS, "-" rests. ----

# Who plays: General MIDI program, channel, volume, pan (64 is the middle), reverb.
BAND = {
    "piano": (0, 0, 124, 64, 60),
    "flute": (73, 1, 69, 64, 75),
    "guitar": (24, 2, 86, 64, 50),
    "keys": (4, 3, 76, 64, 50),
    "strings": (49, 4, 66, 64, 70),
    "bass": (32, 5, 100, 64, 15),
}

HARMONY = """
    D      | Bm     | Gmaj   | A13
    F#m    | Bm     | Em9    | Asus:2 A7:2
    Glyd   | F#m    | Em9    | D
    Glyd   | Gm6    | D/F#:2 Bm:2 | Em:2 Asus:2
    D      | Bm     | Gmaj   | A13
    F#m    | B7:4   | Em9    | Asus:2 A7:2
"""

# Chord: bass, its other note; the keys' voicing; the guitar's strings, low to high; the strings' two inner voices.
CHORDS = {
    "D":    ("D2 A2",   "C#4 E4 F#4 A4", "A3 D4 E4 F#4 A4",   "A4 C#5"),
    "Bm":   ("B1 F#2",  "C#4 D4 F#4 A4", "F#3 B3 C#4 F#4 A4", "A4 D5"),
    "Gmaj": ("G2 D2",   "B3 D4 F#4 A4",  "G3 B3 D4 F#4 A4",   "B4 D5"),
    "Glyd": ("G2 D2",   "B3 C#4 F#4 A4", "G3 B3 D4 F#4 A4",   "A4 B4"),
    "A13":  ("A2 E2",   "B3 D4 F#4 G4",  "G3 A3 D4 F#4 B4",   "G4 B4"),
    "Asus": ("A2 E2",   "A3 D4 E4 G4",   "G3 A3 D4 E4 A4",    "A4 D5"),
    "A7":   ("A2 E2",   "A3 C#4 E4 G4",  "G3 A3 C#4 E4 A4",   "A4 C#5"),
    "F#m":  ("F#2 C#2", "A3 C#4 E4 F#4", "F#3 A3 C#4 E4 A4",  "A4 C#5"),
    "Em":   ("E2 B2",   "B3 D4 E4 G4",   "G3 B3 D4 E4 G4",    "B4 D5"),
    "Em9":  ("E2 B2",   "B3 D4 F#4 G4",  "G3 B3 D4 F#4 B4",   "G4 B4"),
    "Gm6":  ("G2 D2",   "Bb3 D4 E4 G4",  "G3 Bb3 D4 E4 G4",   "Bb4 D5"),
    "D/F#": ("F#2 A2",  "A3 D4 E4 F#4",  "F#3 A3 D4 F#4 A4",  "A4 D5"),
    "B7":   ("B1 F#2",  "A3 D#4 F#4 B4", "F#3 B3 D#4 F#4 A4", "A4 D#5"),
}

PIANO = """
    -:1 A4:.5 D5:.5 F#5:1.5 E5:.5 | D5:2.5 C#5:.5 D5:1 | -:1 B4:.5 D5:.5 A5:1.5 G5:.5 | F#5:2 E5:2
    -:1 C#5:.5 E5:.5 A5:1.5 F#5:.5 | E5:.5 F#5:1.5 D5:2 | -:.5 B4:.5 D5:.5 E5:.5 G5:1 F#5:1 | E5:3 -:1
    -:4 | -:2 -:.5 C#5:.5 E5:1 | -:4 | -:2 -:.5 A4:.5 C#5:1
    -:4 | -:2.5 Bb4:.5 D5:1 | -:4 | -:4
    -:.5 F#4:.5 A4:.5 D5:.5 F#5:1.5 E5:.5 | D5:1.5 C#5:.5 D5:.5 F#5:1.5 | -:1 B4:.5 D5:.5 A5:1.5 B5:.5 | A5:1.5 F#5:.5 E5:2
    -:1 C#5:.5 E5:.5 A5:1 C#6:1 | B5:1.5 A5:.5 F#5:1 D#5:1 | E5:.5 G5:.5 B5:1 A5:.5 G5:.5 F#5:1 | E5:2.5 -:.5 C#5:1
"""

FLUTE = """
    -:4 | -:4 | -:4 | -:4
    -:4 | -:4 | -:4 | -:2 E5:1 A5:1
    B5:1.5 A5:.5 F#5:2 | A5:1.5 F#5:.5 E5:2 | G5:1.5 F#5:.5 D5:2 | F#5:1.5 E5:.5 C#5:2
    -:1 B4:.5 C#5:.5 D5:1 F#5:1 | E5:1.5 D5:.5 Bb4:2 | A4:1 D5:1 F#5:2 | G5:1 F#5:1 E5:1.5 -:.5
    -:4 | -:4 | -:4 | -:4
    -:4 | -:4 | -:4 | -:4
"""

# How loud each instrument plays in A, B and A' (MIDI velocity).
DYNAMICS = {
    "piano": (82, 66, 84),
    "flute": (60, 70, 60),
    "guitar": (58, 54, 58),
    "keys": (44, 50, 46),
    "strings": (38, 41, 46),
    "bass": (72, 70, 74),
}

def note_number(name):
    return 12 * (int(name[-1]) + 1) + {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}[name[0]] + name.count("#") - name.count("b")


def bars(score):
    """Each bar's events as (first beat in the piece, beats, word)."""
    all_bars = [bar.split() for line in score.strip().splitlines() for bar in line.split("|")]
    assert len(all_bars) == BARS
    for number, bar in enumerate(all_bars):
        beat = 0.0
        for event in bar:
            word, _, beats = event.partition(":")
            beats = float(beats or BEATS_PER_BAR)
            yield number * BEATS_PER_BAR + beat, beats, word
            beat += beats
        assert beat == BEATS_PER_BAR, f"bar {number + 1} has {beat} beats"


def performance():
    """What one pass plays: (instrument, start beat, beats, note number, velocity), with a hand's small unevenness."""
    hand = random.Random(1876)

    def play(instrument, beat, beats, name, accent=0, late=0.0):
        section = min(2, int(beat // (8 * BEATS_PER_BAR)))
        velocity = DYNAMICS[instrument][section] + accent + hand.randint(-3, 3)
        start = beat + late + hand.uniform(0, 0.02)  # never early: a pass must not begin before its first tick
        return instrument, start, beats, note_number(name), velocity

    for instrument, score in ("piano", PIANO), ("flute", FLUTE):
        for beat, beats, name in bars(score):
            if name != "-":
                legato = 1.0 if instrument == "flute" else 1.15
                accent = 3 if beats >= 1.5 else 0
                yield play(instrument, beat, beats * legato - 0.05, name, accent, 0.01)

    for beat, beats, chord in bars(HARMONY):
        bass, keys, guitar, strings = (part.split() for part in CHORDS[chord])
        yield play("bass", beat, min(beats, 2.5) - 0.1, bass[0])
        if beats > 2:
            yield play("bass", beat + 2.5, 0.45, bass[0], -12)
            yield play("bass", beat + 3, 0.9, bass[1], -6)
        for voice, name in enumerate(keys):  # rolled a little, low to high
            yield play("keys", beat, beats - 0.1, name, late=0.03 * voice)
        for name in strings:
            yield play("strings", beat, beats - 0.02, name)
        climb = [0, 1, 2, 3, 4, 3, 2, 1] if beats > 2 else [0, 2, 3, 4]
        for eighth, string in enumerate(climb):
            accent = 6 if eighth == 0 else -4 * (eighth % 2)
            yield play("guitar", beat + eighth / 2, beats - eighth / 2, guitar[string], accent)


def write_song(path):
    ends_and_starts = []
    notes = list(performance())
    for turn in range(PASSES):
        for instrument, beat, beats, note, velocity in notes:
            channel = BAND[instrument][1]
            start = turn * BARS * BEATS_PER_BAR + beat
            for kind, when in ("note_on", start), ("note_off", start + beats):
                message = mido.Message(kind, channel=channel, note=note, velocity=velocity if kind == "note_on" else 0)
                ends_and_starts.append((round(when * TICKS_PER_BEAT), kind == "note_on", message))
    ends_and_starts.sort(key=lambda event: event[:2])  # at one tick, ends first

    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(BEATS_PER_MINUTE))])
    for program, channel, volume, pan, reverb in BAND.values():
        track.append(mido.Message("program_change", channel=channel, program=program))
        for control, value in (7, volume), (10, pan), (91, reverb), (93, 0):
            track.append(mido.Message("control_change", channel=channel, control=control, value=value))
    now = 0
    for tick, _, message in ends_and_starts:
        track.append(message.copy(time=tick - now))
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=TICKS_PER_BEAT * BEATS_PER_BAR))
    mido.MidiFile(tracks=[track], ticks_per_beat=TICKS_PER_BEAT).save(path)


def rendered(song, scratch):
    wav = scratch / "song.wav"
    settings = ["synth.chorus.active=0", "synth.polyphony=512", "synth.cpu-cores=1",
                "synth.reverb.room-size=0.55", "synth.reverb.damp=0.35", "synth.reverb.width=0", "synth.reverb.level=0.6"]
    command = ["fluidsynth", "-ni", "-q", "-g", "0.5", "-r", str(RENDER_RATE), "-O", "float", "-T", "wav", "-F", wav]
    command += [word for setting in settings for word in ("-o", setting)] + [SOUNDFONT, song]
    subprocess.run(command, check=True)
    stereo, rate = soundfile.read(wav)
    assert rate == RENDER_RATE
    return np.mean(stereo, axis=1)


def brightened(samples):
    """The balance of a telephone's small speaker: less below 300 Hz, a little more presence above 1 kHz."""
    frequencies, gains = zip(*TILT.items())
    kernel = signal.firwin2(2401, frequencies, 10 ** (np.array(gains) / 20), fs=RENDER_RATE)
    return signal.fftconvolve(samples, kernel, mode="same")


def looped(samples, rate):
    """The second pass. Its first 50 ms come out of the start of the third, which is what its last sample leads to."""
    length, blend = round(LOOP_SECONDS * rate), int(0.05 * rate)
    loop = samples[length : 2 * length].copy()
    fade = 0.5 + 0.5 * np.cos(np.pi * np.arange(blend) / blend)
    loop[:blend] = fade * samples[2 * length :][:blend] + (1 - fade) * loop[:blend]
    return loop


def softened(samples, rate):
    """Peaks turned down gently (a few dB, over 20 ms), round the loop, so that the level fits below the ceiling."""
    for _ in range(4):
        samples = samples * 10 ** ((HOLD_LUFS - loudness(np.tile(samples, 2), rate)) / 20)
        ceiling = 10 ** ((HOLD_PEAK_DBFS - 1) / 20)
        needed = np.minimum(1, ceiling / np.maximum(np.abs(samples), ceiling))
        window = signal.windows.hann(int(0.02 * rate) | 1)
        around = ndimage.minimum_filter1d(needed, len(window), mode="wrap")
        samples = samples * ndimage.convolve1d(around, window / np.sum(window), mode="wrap")
    return samples * 10 ** ((HOLD_LUFS - loudness(np.tile(samples, 2), rate)) / 20)


def chime(first, second, rate):
    """Two struck notes, the second while the first rings. The frequencies and their overtones keep clear of DTMF's."""
    length = 0.45
    time = np.arange(int(length * rate)) / rate
    sound = np.zeros_like(time)
    for start, frequency in (0.0, first), (0.13, second):
        since = np.maximum(time - start, 0)
        attack = 0.5 - 0.5 * np.cos(np.pi * np.minimum(since / 0.008, 1))
        for overtone, strength, decay in (1, 1.0, 0.13), (2, 0.22, 0.07), (3, 0.07, 0.04):
            sound += strength * attack * np.exp(-since / decay) * np.sin(2 * np.pi * overtone * frequency * since)
    release = int(0.08 * rate)
    sound[-release:] *= 0.5 + 0.5 * np.cos(np.pi * np.arange(release) / release)
    return sound * 10 ** ((CHIME_LUFS - loudness(sound, rate)) / 20)


def main(audio, scratch):
    write_song(scratch / "song.mid")
    song = brightened(rendered(scratch / "song.mid", scratch))
    for rate, folder in (8000, "."), (16000, "16k"):
        loop = softened(looped(band_limit(song, RENDER_RATE, rate), rate), rate)
        write_wav(audio / "hold" / folder / "quiet-hours.wav", loop, rate)
        print(f"quiet-hours {rate}: peak {peak_dbfs(loop):.1f} dBFS")
        for name, notes in ("entry", (512, 640)), ("exit", (640, 512)):  # a pure major third; see check.py
            write_wav(audio / "tones" / folder / f"{name}.wav", chime(*notes, rate), rate)


main(Path(sys.argv[1]), Path(sys.argv[2]))
