//! On an x86-64: most are one instruction of SSE2. So they are inlined always, and test builds are no slower than need be.

use safe_arch::*;

/// Eight words.
#[derive(Debug, Clone, Copy)]
pub struct Lanes(m128i);

/// Four sums of 32 bits.
#[derive(Debug, Clone, Copy)]
pub struct Sums(m128i);

impl Lanes {
    #[inline(always)]
    pub fn new(words: [i16; 8]) -> Lanes {
        Lanes(words.into())
    }

    /// The same word everywhere.
    #[inline(always)]
    pub fn all(word: i16) -> Lanes {
        Lanes(set_splat_i16_m128i(word))
    }

    /// Two words; the others are zero.
    #[inline(always)]
    pub fn pair([first, second]: [i16; 2]) -> Lanes {
        Lanes(set_i32_m128i_s(i32::from(first as u16) | i32::from(second) << 16))
    }

    /// The same two words everywhere.
    #[inline(always)]
    pub fn all_pairs([first, second]: [i16; 2]) -> Lanes {
        Lanes(set_splat_i32_m128i(i32::from(first as u16) | i32::from(second) << 16))
    }

    #[inline(always)]
    pub fn first_pair(self) -> [i16; 2] {
        let both = get_i32_from_m128i_s(self.0);
        [both as i16, (both >> 16) as i16]
    }

    #[inline(always)]
    pub fn words(self) -> [i16; 8] {
        self.0.into()
    }

    #[inline(always)]
    pub fn plus(self, other: Lanes) -> Lanes {
        Lanes(add_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus(self, other: Lanes) -> Lanes {
        Lanes(sub_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn plus_limited(self, other: Lanes) -> Lanes {
        Lanes(add_saturating_i16_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn minus_limited(self, other: Lanes) -> Lanes {
        Lanes(sub_saturating_i16_m128i(self.0, other.0))
    }

    /// No less than this, and no more than that.
    #[inline(always)]
    pub fn limited(self, least: Lanes, most: Lanes) -> Lanes {
        Lanes(max_i16_m128i(min_i16_m128i(self.0, most.0), least.0))
    }

    #[inline(always)]
    pub fn at_least(self, least: Lanes) -> Lanes {
        Lanes(max_i16_m128i(self.0, least.0))
    }

    /// The products' bits from the sixteenth on.
    #[inline(always)]
    pub fn product_16(self, other: Lanes) -> Lanes {
        Lanes(mul_i16_keep_high_m128i(self.0, other.0))
    }

    /// The same of words without a sign.
    #[inline(always)]
    pub fn unsigned_product_16(self, other: Lanes) -> Lanes {
        Lanes(mul_u16_keep_high_m128i(self.0, other.0))
    }

    /// The products' bits from the fifteenth on. Not for −32,768 by itself.
    #[inline(always)]
    pub fn product_15(self, other: Lanes) -> Lanes {
        let upper = mul_i16_keep_high_m128i(self.0, other.0);
        // Doubled by a sum: the compiler makes eight instructions of a shift here.
        let upper = add_saturating_i16_m128i(upper, upper);
        let lower = shr_imm_u16_m128i::<15>(mul_i16_keep_low_m128i(self.0, other.0));
        Lanes(bitor_m128i(upper, lower))
    }

    /// The sums of each two products that stand side by side. Not for four times −32,768.
    #[inline(always)]
    pub fn sums_of_products(self, other: Lanes) -> Sums {
        Sums(mul_i16_horizontal_add_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn shifted_left<const BITS: i32>(self) -> Lanes {
        Lanes(shl_imm_u16_m128i::<BITS>(self.0))
    }

    #[inline(always)]
    pub fn shifted_right<const BITS: i32>(self) -> Lanes {
        Lanes(shr_imm_i16_m128i::<BITS>(self.0))
    }

    #[inline(always)]
    pub fn xor(self, other: Lanes) -> Lanes {
        Lanes(bitxor_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn or(self, other: Lanes) -> Lanes {
        Lanes(bitor_m128i(self.0, other.0))
    }

    #[inline(always)]
    pub fn and(self, other: Lanes) -> Lanes {
        Lanes(bitand_m128i(self.0, other.0))
    }

    /// The word's opposite where the other has −1; the word itself where that has 0.
    #[inline(always)]
    pub fn opposite_where(self, other: Lanes) -> Lanes {
        self.xor(other).minus(other)
    }

    /// −1 where a word is larger than the other's, and 0 elsewhere.
    #[inline(always)]
    pub fn above(self, other: Lanes) -> Lanes {
        Lanes(cmp_gt_mask_i16_m128i(self.0, other.0))
    }

    /// How many words from the first on are −1, of words that are −1 or 0.
    #[inline(always)]
    pub fn set_at_first(self) -> usize {
        // Two bits for each word; what is above them is not set.
        ((move_mask_i8_m128i(self.0) as u32).trailing_ones() / 2) as usize
    }

    #[inline(always)]
    pub fn first_two_are_negative(self) -> [bool; 2] {
        let octets = move_mask_i8_m128i(self.0);
        [octets & 0b10 != 0, octets & 0b1000 != 0]
    }

    /// The sum of all eight, which must have 16 bits, eight times.
    #[inline(always)]
    pub fn sum_everywhere(self) -> Lanes {
        let halves = add_i16_m128i(self.0, shuffle_ai_f32_all_m128i::<0b01_00_11_10>(self.0));
        let quarters = add_i16_m128i(halves, shuffle_ai_f32_all_m128i::<0b10_11_00_01>(halves));
        let swapped =
            shuffle_ai_i16_h64all_m128i::<0b10_11_00_01>(shuffle_ai_i16_l64all_m128i::<0b10_11_00_01>(quarters));
        Lanes(add_i16_m128i(quarters, swapped))
    }

    /// Each word a place further from the first, which becomes zero.
    #[inline(always)]
    pub fn up_by_one(self) -> Lanes {
        Lanes(byte_shl_imm_u128_m128i::<2>(self.0))
    }

    /// Each word a place nearer to the first.
    #[inline(always)]
    pub fn down_by_one(self) -> Lanes {
        Lanes(byte_shr_imm_u128_m128i::<2>(self.0))
    }

    /// Each word so many pairs of places nearer to the first.
    #[inline(always)]
    pub fn pairs_down<const PAIRS: usize>(self) -> Lanes {
        Lanes(match PAIRS {
            1 => byte_shr_imm_u128_m128i::<4>(self.0),
            2 => byte_shr_imm_u128_m128i::<8>(self.0),
            _ => byte_shr_imm_u128_m128i::<12>(self.0),
        })
    }

    #[inline(always)]
    pub fn spread_first(self) -> Lanes {
        Lanes(shuffle_ai_f32_all_m128i::<0>(shuffle_ai_i16_l64all_m128i::<0>(self.0)))
    }

    #[inline(always)]
    pub fn spread_second(self) -> Lanes {
        Lanes(shuffle_ai_f32_all_m128i::<0>(shuffle_ai_i16_l64all_m128i::<0x55>(self.0)))
    }

    /// The first four words of both by turns.
    #[inline(always)]
    pub fn first_by_turns(self, other: Lanes) -> Lanes {
        Lanes(unpack_low_i16_m128i(self.0, other.0))
    }

    /// The last four words of both by turns.
    #[inline(always)]
    pub fn last_by_turns(self, other: Lanes) -> Lanes {
        Lanes(unpack_high_i16_m128i(self.0, other.0))
    }
}

impl Sums {
    #[inline(always)]
    pub fn all(sum: i32) -> Sums {
        Sums(set_splat_i32_m128i(sum))
    }

    #[inline(always)]
    pub fn plus(self, other: Sums) -> Sums {
        Sums(add_i32_m128i(self.0, other.0))
    }

    /// These and the others behind them, without so many of their bits, limited to words.
    #[inline(always)]
    pub fn words<const BITS: i32>(self, others: Sums) -> Lanes {
        Lanes(pack_i32_to_i16_m128i(shr_imm_i32_m128i::<BITS>(self.0), shr_imm_i32_m128i::<BITS>(others.0)))
    }

    /// The same of both by turns.
    #[inline(always)]
    pub fn words_by_turns<const BITS: i32>(self, others: Sums) -> Lanes {
        let words = self.words::<BITS>(others);
        words.first_by_turns(words.pairs_down::<2>())
    }
}
