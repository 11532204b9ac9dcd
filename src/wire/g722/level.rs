//! How loud a stream is, without decoding it.
//!
//! A code says how far the sample is from its prediction, in units of a scale that follows from the codes alone. In voice
//! that distance is smaller than the sample itself, by what the predictor gains.

use crate::words::lanes::Lanes;

use super::band::{HIGH_LOG_MAX, LOW_LOG_MAX, OCTAVE};
use super::qmf::Pair;
use super::tables::{HIGH_LEVELS, HIGH_STEPS, LOW_LEVELS, LOW_STEPS, SCALE};

/// The scales of a stream's two bands, as its decoder would have them: their logarithms, the low band's first.
#[derive(Debug, Clone, Copy, Default)]
pub struct LevelMeter {
    log_scales: Pair,
}

/// What a code says of both bands.
#[derive(Clone, Copy)]
struct Meant {
    /// The logarithm of what it stands for, on the 16-bit scale at the lowest scale factor.
    levels: Pair,
    /// How the logarithmic scales move on with it.
    steps: Pair,
}

/// By code. The lowest scale factor is 32 in the low band and 8 in the high one, in units of 1/32768, and a band's sample is
/// half of ours.
static MEANT: [Meant; 256] = {
    let low = logarithms(&LOW_LEVELS, 9);
    let high = logarithms(&HIGH_LEVELS, 11);
    let mut meant = [Meant { levels: [0; 2], steps: [0; 2] }; 256];
    let mut code = 0;
    while code < 256 {
        let (low_code, high_code) = (code & 0x3F, code >> 6);
        meant[code].levels = [low[low_code] as i16, high[high_code] as i16];
        meant[code].steps = [LOW_STEPS[low_code >> 2], HIGH_STEPS[high_code]];
        code += 1;
    }
    meant
};

const fn logarithms<const CODES: usize>(levels: &[i16; CODES], octaves_less: i32) -> [i32; CODES] {
    let mut logarithms = [0; CODES];
    let mut code = 0;
    while code < CODES {
        logarithms[code] = logarithm(levels[code].unsigned_abs()) - octaves_less * OCTAVE;
        code += 1;
    }
    logarithms
}

/// The logarithm of a level, rounded down: its whole octaves, and eleven bits behind them by squaring.
const fn logarithm(level: u16) -> i32 {
    let octaves = level.ilog2();
    let mut logarithm = octaves as i32;
    let mut mantissa = (level as u64) << (31 - octaves); // 1 to 2, as 2^31 to 2^32
    let mut unit = OCTAVE;
    while unit > 1 {
        unit >>= 1;
        mantissa = (mantissa * mantissa) >> 31;
        logarithm *= 2;
        if mantissa >> 32 == 1 {
            mantissa >>= 1;
            logarithm += 1;
        }
    }
    logarithm
}

impl LevelMeter {
    /// The largest amplitude of these codes, roughly, on the 16-bit scale.
    ///
    /// Louder by half than the largest distance: in noise that is the amplitude; in voice, which is predicted well, some 40 %
    /// less. So it is good for opening a gate at 320: noise of −48 dBm0 reads 320 at most. Of speech whose peak is 6,000 one
    /// frame in 220 is lost, of a peak of 2,000 one in 180. Nearly all are silence behind a word; a word that begins with a
    /// soft hum is a frame late, or three.
    ///
    /// It is not good for keeping a gate open: a tone that goes on is predicted nearly wholly, and from its third frame on reads
    /// a third of itself (at 1 kHz) to a thirtieth (at 100 Hz). While a gate is open the samples are there to be looked at.
    pub fn peak(&mut self, codes: &[u8]) -> i16 {
        let [zero, highest] = [[0, 0], [LOW_LOG_MAX as i16, HIGH_LOG_MAX as i16]].map(Lanes::pair);
        let mut log_scales = Lanes::pair(self.log_scales);
        let mut peaks = zero;
        for &code in codes {
            let Meant { levels, steps } = MEANT[usize::from(code)];
            peaks = peaks.at_least(log_scales.plus(Lanes::pair(levels)));
            // Blocks LOGSCL and LOGSCH: a 128th of the logarithm leaks.
            let leak = log_scales.product_16(Lanes::all(-512));
            log_scales = log_scales.plus(Lanes::pair(steps)).plus(leak).limited(zero, highest);
        }
        self.log_scales = log_scales.first_pair();
        let [low, high] = peaks.first_pair();
        let peak = i32::from(low.max(high));
        let amplitude = amplitude(peak);
        (amplitude + amplitude / 2).min(i16::MAX.into()) as i16
    }
}

/// The amplitude of a logarithm.
fn amplitude(logarithm: i32) -> i32 {
    let steps = (logarithm >> 6).clamp(0, 14 * 32 + 31);
    let octave = i32::from(SCALE[320 + (steps as usize & 31)]); // 8192 to 16032
    (octave << 1) >> (14 - (steps >> 5))
}
