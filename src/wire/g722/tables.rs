//! The numbers of ITU-T G.722, section 6.2.1: decision values, levels and steps of both quantizers, the scale, and the
//! filter that splits and joins the bands. By the code wherever the standard has a table of codes beside one of levels.

/// The low band's decision values (LL6), in 1/4096 of the scale. There are 30 intervals between them, of each sign the same. Here
/// they are in eight *classes*: two in the first and four in each behind it, so that all of a class teach the same.
const LOW_DECISIONS: [u16; 29] = [
    35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940, 1023, 1121, 1219, 1339,
    1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// A decision value times 16: its product with the scale is then the upper half of 32 bits.
const fn decision(number: usize) -> i16 {
    (LOW_DECISIONS[number] * 16) as i16
}

/// Where the other intervals of a class begin. What fills the eight is never looked at.
pub static FINE_DECISIONS: [[i16; 8]; 8] = {
    let mut all = [[-1; 8]; 8];
    all[0][0] = decision(0);
    let mut class = 1;
    while class < 8 {
        let mut interval = 1;
        while interval < 4 {
            all[class][interval - 1] = decision(4 * class - 3 + interval);
            interval += 1;
        }
        class += 1;
    }
    all
};

/// The low band's codes: of a difference from zero up or below zero, by class and interval.
pub static LOW_CODES: [[u8; 32]; 2] = {
    let mut codes = [[0; 32]; 2];
    let mut at = 0;
    while at < 32 {
        let interval = match at {
            0 => 1,
            1..4 => 2,
            _ => at as u8 - 1,
        };
        codes[0][at] = 62 - interval;
        // The smallest two negative ones got the codes that would look like silence on a line.
        codes[1][at] = if interval <= 2 { 64 - interval } else { 34 - interval };
        at += 1;
    }
    codes
};

/// What a code of the low band stands for, in 1/32768 of the scale (QQ6). Codes 0 to 3 are never sent.
pub static LOW_LEVELS: [i16; 64] = {
    let levels: [i16; 30] = [
        136, 432, 728, 1040, 1360, 1688, 2032, 2400, 2776, 3168, 3576, 4008, 4464, 4944, 5456, 6000, 6576, 7192, 7856,
        8576, 9360, 10232, 11192, 12280, 13512, 14984, 16704, 19008, 21904, 24808,
    ];
    let mut by_code = [-levels[0]; 64];
    let mut code = 4;
    while code < 64 {
        by_code[code] = match code {
            4..=31 => -levels[33 - code],
            32..=61 => levels[61 - code],
            _ => -levels[63 - code],
        };
        code += 1;
    }
    by_code
};

/// The same by a code's four upper bits (QQ4): what both ends learn from.
pub static COARSE_LEVELS: [i16; 16] = by_coarse_code(LEVEL_MAGNITUDES, true);

/// How the low band's logarithmic scale moves on, by a code's four upper bits (WL).
pub static LOW_STEPS: [i16; 16] = by_coarse_code(CLASS_STEPS, false);

const LEVEL_MAGNITUDES: [i16; 8] = [0, 1200, 2584, 4240, 6288, 8968, 12896, 20456];

/// By class.
pub static CLASS_STEPS: [i16; 8] = [-60, -30, 58, 172, 334, 538, 1198, 3042];

const fn by_coarse_code(magnitudes: [i16; 8], signed: bool) -> [i16; 16] {
    let mut by_code = [magnitudes[0]; 16];
    let mut code = 1;
    while code < 16 {
        by_code[code] = match code {
            8.. => magnitudes[15 - code],
            _ if signed => -magnitudes[8 - code],
            _ => magnitudes[8 - code],
        };
        code += 1;
    }
    by_code
}

/// The high band has one decision value (in 1/4096 of the scale) and four codes: by sign, and whether it is reached.
pub const HIGH_DECISION: i32 = 564;
pub static HIGH_CODES: [u8; 4] = [3, 2, 1, 0];
pub static HIGH_LEVELS: [i16; 4] = [-7408, -1616, 7408, 1616];
pub static HIGH_STEPS: [i16; 4] = [798, -214, 798, -214];

/// The scale by 1/32 octaves (ILB, and the shifts of blocks SCALEL and SCALEH). The entries from 353 on are never used:
/// they let an index be masked.
pub static SCALE: [i16; 512] = {
    let octave: [i16; 32] = [
        2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896, 2960,
        3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
    ];
    let mut scale = [16_384; 512];
    let mut at = 0;
    while at < 352 {
        scale[at] = (octave[at % 32] >> (10 - at / 32)) << 2;
        at += 1;
    }
    scale
};

/// What the low band's quantizer needs at one scale.
pub struct AtScale {
    pub scale: [i16; 8],
    /// The largest magnitudes below each class but the first.
    pub below: [i16; 8],
    /// By how much each class teaches more than the one before it, of differences from zero up; and what makes it the same of
    /// those below.
    pub up: [i16; 8],
    pub up_or_down: [i16; 8],
}

/// By 1/32 octaves, as [`SCALE`], from the lowest on that the low band has. An encoder waits for these numbers.
pub static LOW_AT_SCALE: [AtScale; 289] = {
    const ONE: AtScale = AtScale { scale: [0; 8], below: [i16::MAX; 8], up: [0; 8], up_or_down: [0; 8] };
    let mut all = [ONE; 289];
    let mut at = 0;
    while at < 289 {
        let scale = SCALE[at + 64];
        let one = &mut all[at];
        one.scale = [scale; 8];
        let (mut up_before, mut down_before) = (0, 0);
        let mut class = 1;
        while class < 8 {
            one.below[class - 1] = ((decision(4 * class - 3) as u16 as u32 * scale as u32) >> 16) as i16 - 1;
            let up = ((LEVEL_MAGNITUDES[class] as i32 * scale as i32) >> 15) as i16;
            let down = ((-LEVEL_MAGNITUDES[class] as i32 * scale as i32) >> 15) as i16;
            one.up[class - 1] = up - up_before;
            one.up_or_down[class - 1] = (up - up_before) ^ (down - down_before);
            (up_before, down_before) = (up, down);
            class += 1;
        }
        at += 1;
    }
    all
};
