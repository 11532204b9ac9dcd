//! On every other processor: word by word. What each operation does is said in `sse2.rs`.

use std::array::from_fn;

/// Eight words.
#[derive(Debug, Clone, Copy)]
pub struct Lanes([i16; 8]);

/// Four sums of 32 bits.
#[derive(Debug, Clone, Copy)]
pub struct Sums([i32; 4]);

impl Lanes {
    #[inline]
    pub fn new(words: [i16; 8]) -> Lanes {
        Lanes(words)
    }

    #[inline]
    pub fn all(word: i16) -> Lanes {
        Lanes([word; 8])
    }

    #[inline]
    pub fn pair([first, second]: [i16; 2]) -> Lanes {
        Lanes([first, second, 0, 0, 0, 0, 0, 0])
    }

    #[inline]
    pub fn all_pairs(pair: [i16; 2]) -> Lanes {
        Lanes(from_fn(|at| pair[at % 2]))
    }

    #[inline]
    pub fn first_pair(self) -> [i16; 2] {
        [self.0[0], self.0[1]]
    }

    #[inline]
    pub fn words(self) -> [i16; 8] {
        self.0
    }

    #[inline]
    fn with(self, other: Lanes, operation: impl Fn(i16, i16) -> i16) -> Lanes {
        Lanes(from_fn(|at| operation(self.0[at], other.0[at])))
    }

    #[inline]
    pub fn plus(self, other: Lanes) -> Lanes {
        self.with(other, i16::wrapping_add)
    }

    #[inline]
    pub fn minus(self, other: Lanes) -> Lanes {
        self.with(other, i16::wrapping_sub)
    }

    #[inline]
    pub fn plus_limited(self, other: Lanes) -> Lanes {
        self.with(other, i16::saturating_add)
    }

    #[inline]
    pub fn minus_limited(self, other: Lanes) -> Lanes {
        self.with(other, i16::saturating_sub)
    }

    #[inline]
    pub fn limited(self, least: Lanes, most: Lanes) -> Lanes {
        self.with(most, i16::min).with(least, i16::max)
    }

    #[inline]
    pub fn at_least(self, least: Lanes) -> Lanes {
        self.with(least, i16::max)
    }

    #[inline]
    pub fn product_16(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| ((i32::from(a) * i32::from(b)) >> 16) as i16)
    }

    #[inline]
    pub fn unsigned_product_16(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| ((u32::from(a as u16) * u32::from(b as u16)) >> 16) as i16)
    }

    #[inline]
    pub fn product_15(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| ((i32::from(a) * i32::from(b)) >> 15) as i16)
    }

    #[inline]
    pub fn sums_of_products(self, other: Lanes) -> Sums {
        let product = |at: usize| i32::from(self.0[at]) * i32::from(other.0[at]);
        Sums(from_fn(|at| product(2 * at).wrapping_add(product(2 * at + 1))))
    }

    #[inline]
    pub fn shifted_left<const BITS: i32>(self) -> Lanes {
        Lanes(self.0.map(|word| word << BITS))
    }

    #[inline]
    pub fn shifted_right<const BITS: i32>(self) -> Lanes {
        Lanes(self.0.map(|word| word >> BITS))
    }

    #[inline]
    pub fn xor(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| a ^ b)
    }

    #[inline]
    pub fn or(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| a | b)
    }

    #[inline]
    pub fn and(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| a & b)
    }

    #[inline]
    pub fn above(self, other: Lanes) -> Lanes {
        self.with(other, |a, b| -i16::from(a > b))
    }

    #[inline]
    pub fn set_at_first(self) -> usize {
        self.0.iter().take_while(|&&word| word != 0).count()
    }

    #[inline]
    pub fn first_two_are_negative(self) -> [bool; 2] {
        self.first_pair().map(i16::is_negative)
    }

    #[inline]
    pub fn opposite_where(self, other: Lanes) -> Lanes {
        self.xor(other).minus(other)
    }

    #[inline]
    pub fn sum_everywhere(self) -> Lanes {
        Lanes::all(self.0.into_iter().fold(0, i16::wrapping_add))
    }

    #[inline]
    fn moved(self, down: usize) -> Lanes {
        Lanes(from_fn(|at| self.0.get(at.wrapping_add(down)).copied().unwrap_or(0)))
    }

    #[inline]
    pub fn up_by_one(self) -> Lanes {
        self.moved(usize::MAX)
    }

    #[inline]
    pub fn down_by_one(self) -> Lanes {
        self.moved(1)
    }

    #[inline]
    pub fn pairs_down<const PAIRS: usize>(self) -> Lanes {
        self.moved(2 * PAIRS)
    }

    #[inline]
    pub fn spread_first(self) -> Lanes {
        Lanes::all(self.0[0])
    }

    #[inline]
    pub fn spread_second(self) -> Lanes {
        Lanes::all(self.0[1])
    }

    #[inline]
    pub fn first_by_turns(self, other: Lanes) -> Lanes {
        Lanes(from_fn(|at| [self, other][at % 2].0[at / 2]))
    }

    #[inline]
    pub fn last_by_turns(self, other: Lanes) -> Lanes {
        Lanes(from_fn(|at| [self, other][at % 2].0[4 + at / 2]))
    }
}

impl Sums {
    #[inline]
    pub fn all(sum: i32) -> Sums {
        Sums([sum; 4])
    }

    #[inline]
    pub fn plus(self, other: Sums) -> Sums {
        Sums(from_fn(|at| self.0[at].wrapping_add(other.0[at])))
    }

    #[inline]
    pub fn words<const BITS: i32>(self, others: Sums) -> Lanes {
        let word = |sum: i32| (sum >> BITS).clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        Lanes(from_fn(|at| word(if at < 4 { self.0[at] } else { others.0[at - 4] })))
    }

    #[inline]
    pub fn words_by_turns<const BITS: i32>(self, others: Sums) -> Lanes {
        let words = self.words::<BITS>(others);
        words.first_by_turns(words.pairs_down::<2>())
    }
}
