//! How many distinct sources hit a target in the overflow: `HyperLogLog` over the registers that the kernel filled.
//!
//! Flajolet, Fusy, Gandouet and Meunier, "`HyperLogLog`: the analysis of a near-optimal cardinality estimation
//! algorithm" (2007): harmonic mean with bias correction, linear counting for few sources, and the correction for
//! collisions of a 32-bit hash for very many.

use sensor_common::overflow::REGISTERS;

/// Bias correction for 64 registers (figure 3 of the paper).
const ALPHA: f64 = 0.709;
const TWO_POW_32: f64 = 4_294_967_296.0;

/// Estimated number of distinct sources; standard error 1.04/√64 = 13 %.
pub(super) fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let m = REGISTERS as f64;
    let sum: f64 = registers.iter().map(|&rank| (-f64::from(rank)).exp2()).sum();
    let raw = ALPHA * m * m / sum;
    let empty: u32 = registers.iter().map(|&rank| u32::from(rank == 0)).sum();
    if raw <= 2.5 * m && empty > 0 {
        m * (m / f64::from(empty)).ln()
    } else if raw > TWO_POW_32 / 30.0 {
        // The estimate may exceed the hash space; there the correction has no value.
        -TWO_POW_32 * (1.0 - (raw / TWO_POW_32).min(0.999)).ln()
    } else {
        raw
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::keyed::Keyed;
    use bytemuck::Zeroable as _;
    use sensor_common::overflow::{Addition, OverflowCell};

    #[test]
    fn by_hand() {
        assert!(estimate(&[0; 64]).abs() < 1e-12);
        // One register set: 64 ln(64/63).
        let mut one = [0; 64];
        one[5] = 3;
        assert!((estimate(&one) - 64.0 * (64.0_f64 / 63.0).ln()).abs() < 1e-12);
        // All registers 10: alpha * 64² / (64 / 1024).
        assert!((estimate(&[10; 64]) - 0.709 * 64.0 * 1024.0).abs() < 1e-6);
    }

    #[test]
    fn estimates_are_within_three_standard_errors_of_the_truth() {
        let keyed = Keyed::new(3);
        for sources in [10_u64, 100, 1_000, 20_000, 500_000] {
            let mut cell = OverflowCell::zeroed();
            for source in 0..sources {
                let source_hash = keyed.pair(source, 0);
                cell.add(&Addition {
                    target: [1; 16],
                    source_hash,
                    packets: 1,
                    bytes: 60,
                    syn_packets: 1,
                    evicted_flows: 0,
                    port: 80,
                    iface: 0,
                    proto: 6,
                    kind: 0x40,
                });
            }
            let error = estimate(&cell.sources) / sources as f64 - 1.0;
            assert!(error.abs() < 3.0 * 0.13, "{sources}: {error}");
        }
    }
}
