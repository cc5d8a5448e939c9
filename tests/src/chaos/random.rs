//! Random numbers of a seed.

/// A number below a random power of two: the small are as frequent as the large.
pub(super) fn number(rng: &mut fastrand::Rng, powers: std::ops::RangeInclusive<u32>) -> u64 {
    let power = rng.u32(powers);
    rng.u64(0..=1 << power)
}
