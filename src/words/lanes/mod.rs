//! Eight words of 16 bits side by side, with the operations of voice codecs and filters: sums that stay at the ends of what a word
//! can hold, the upper parts of products, and their sums.
//!
//! An x86-64 has them as instructions (SSE2, which all have). The compiler does not find the way from what Rust has for one
//! word to them; so they are called by their names there, and written out for every other processor. Both do the same, as the
//! test below holds.

#[cfg(target_arch = "x86_64")]
mod sse2;
#[cfg(target_arch = "x86_64")]
pub use sse2::{Lanes, Sums};

#[cfg(any(test, not(target_arch = "x86_64")))]
mod written_out;
#[cfg(not(target_arch = "x86_64"))]
pub use written_out::{Lanes, Sums};

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use proptest::prelude::*;

    use super::{sse2, written_out};

    /// Everything that two of them can be put through, in words.
    macro_rules! results {
        ($with:ident, $a:expr, $b:expr) => {{
            use $with::{Lanes, Sums};
            let (a, b) = (Lanes::new($a), Lanes::new($b));
            let (all, pair, pairs) = (Lanes::all($a[3]), Lanes::pair([$a[0], $a[1]]), Lanes::all_pairs([$b[0], $b[1]]));
            let sums = a.sums_of_products(b).plus(b.sums_of_products(pairs)).plus(Sums::all($a[5].into()));
            let lanes = [
                a.plus(b),
                a.minus(b),
                a.plus_limited(b),
                a.minus_limited(b),
                a.limited(all, b),
                a.at_least(b),
                a.product_16(b),
                a.unsigned_product_16(b),
                a.product_15(b),
                a.shifted_left::<7>(),
                a.shifted_right::<5>(),
                a.xor(b),
                a.or(b),
                a.and(b),
                a.above(b),
                a.opposite_where(a.above(b)),
                a.sum_everywhere(),
                a.up_by_one(),
                a.down_by_one(),
                a.pairs_down::<1>(),
                a.pairs_down::<2>(),
                a.pairs_down::<3>(),
                a.spread_first(),
                a.spread_second(),
                a.first_by_turns(b),
                a.last_by_turns(b),
                pair,
                sums.words::<14>(a.sums_of_products(a)),
                sums.words_by_turns::<11>(a.sums_of_products(a)),
            ];
            let masks = [Lanes::all($a[0]).above(b), a.above(b), all.above(all)].map(|mask| mask.set_at_first());
            (lanes.map(Lanes::words), a.first_pair(), a.first_two_are_negative(), masks)
        }};
    }

    fn words() -> impl Strategy<Value = [i16; 8]> {
        let word = prop_oneof![any::<i16>(), -3i16..3, Just(i16::MIN), Just(i16::MAX)];
        prop::collection::vec(word, 8).prop_map(|words| std::array::from_fn(|at| words[at]))
    }

    proptest! {
        /// But for what they say they are not for.
        #[test]
        fn both_do_the_same(a in words(), b in words()) {
            let b = std::array::from_fn(|at| if a[at] == i16::MIN { b[at].max(-i16::MAX) } else { b[at] });
            prop_assert_eq!(results!(sse2, a, b), results!(written_out, a, b));
        }
    }
}
