//! A fast Fourier transform of one size, radix 2, decimation in time: what correlation needs, and no more.

use std::f32::consts::TAU;
use std::ops::{Add, Mul, Sub};

/// A complex number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Complex {
    pub re: f32,
    pub im: f32,
}

impl Complex {
    pub const ZERO: Complex = Complex { re: 0.0, im: 0.0 };

    pub fn real(re: f32) -> Complex {
        Complex { re, im: 0.0 }
    }

    pub fn conjugate(self) -> Complex {
        Complex { re: self.re, im: -self.im }
    }

    /// i times this.
    pub fn times_i(self) -> Complex {
        Complex { re: -self.im, im: self.re }
    }
}

impl Add for Complex {
    type Output = Complex;

    fn add(self, other: Complex) -> Complex {
        Complex { re: self.re + other.re, im: self.im + other.im }
    }
}

impl Sub for Complex {
    type Output = Complex;

    fn sub(self, other: Complex) -> Complex {
        Complex { re: self.re - other.re, im: self.im - other.im }
    }
}

impl Mul for Complex {
    type Output = Complex;

    fn mul(self, other: Complex) -> Complex {
        Complex { re: self.re * other.re - self.im * other.im, im: self.re * other.im + self.im * other.re }
    }
}

/// The tables of one size.
#[derive(Debug, Clone)]
pub struct Fft {
    /// e^(−2πik/n) for k below n/2.
    twiddles: Vec<Complex>,
    /// Pairs of places that change when the input is put into bit-reversed order.
    swaps: Vec<(usize, usize)>,
}

impl Fft {
    /// `log2_size` of 1 to 20: 2 to a million points.
    pub fn new(log2_size: u32) -> Fft {
        let bits = log2_size.clamp(1, 20);
        let size = 1usize << bits;
        let twiddles = (0..size / 2)
            .map(|k| {
                let angle = -TAU * k as f32 / size as f32;
                Complex { re: angle.cos(), im: angle.sin() }
            })
            .collect();
        let swaps = (0..size)
            .map(|place| (place, place.reverse_bits() >> (usize::BITS - bits)))
            .filter(|(place, reversed)| place < reversed)
            .collect();
        Fft { twiddles, swaps }
    }

    pub fn size(&self) -> usize {
        self.twiddles.len() * 2
    }

    /// In place. `data` has [`Fft::size`] points; any other length is left alone.
    pub fn forward(&self, data: &mut [Complex]) {
        if data.len() != self.size() {
            return;
        }
        for (left, right) in &self.swaps {
            data.swap(*left, *right);
        }
        let mut half = 1;
        while half < data.len() {
            let stride = self.twiddles.len() / half;
            for group in data.chunks_exact_mut(half * 2) {
                let (low, high) = group.split_at_mut(half);
                for ((a, b), twiddle) in low.iter_mut().zip(high).zip(self.twiddles.iter().step_by(stride)) {
                    let turned = *b * *twiddle;
                    (*a, *b) = (*a + turned, *a - turned);
                }
            }
            half *= 2;
        }
    }

    /// The inverse, without the division by the size.
    pub fn inverse(&self, data: &mut [Complex]) {
        // Swapping the parts before and after turns the forward transform into the inverse.
        for point in data.iter_mut() {
            *point = Complex { re: point.im, im: point.re };
        }
        self.forward(data);
        for point in data.iter_mut() {
            *point = Complex { re: point.im, im: point.re };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(count: usize) -> Vec<Complex> {
        let mut state = 12_345u32;
        let mut next = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| Complex { re: next(), im: next() }).collect()
    }

    #[test]
    fn it_equals_the_definition() {
        let input = noise(64);
        let mut fast = input.clone();
        Fft::new(6).forward(&mut fast);
        for (k, found) in fast.iter().enumerate() {
            let mut sum = Complex::ZERO;
            for (n, x) in input.iter().enumerate() {
                let angle = -TAU * (k * n % 64) as f32 / 64.0;
                sum = sum + *x * Complex { re: angle.cos(), im: angle.sin() };
            }
            assert!((sum.re - found.re).abs() < 1e-3 && (sum.im - found.im).abs() < 1e-3, "{k}: {sum:?} {found:?}");
        }
    }

    #[test]
    fn the_inverse_leads_back() {
        let fft = Fft::new(11);
        let input = noise(fft.size());
        let mut there = input.clone();
        fft.forward(&mut there);
        fft.inverse(&mut there);
        for (before, after) in input.iter().zip(&there) {
            assert!((before.re - after.re / 2048.0).abs() < 1e-4);
            assert!((before.im - after.im / 2048.0).abs() < 1e-4);
        }
    }
}
