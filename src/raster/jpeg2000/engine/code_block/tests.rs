use super::testing::{Random, encode, natural};
use super::{Coded, Decoder, Orientation, Segment, Style, plain};
use proptest::prelude::*;

pub(super) const ORIENTATIONS: [Orientation; 4] =
    [Orientation::Ll, Orientation::Hl, Orientation::Lh, Orientation::Hh];

/// The style whose flags are the bits of a number.
pub(super) fn style(bits: u8) -> Style {
    Style {
        bypass: bits & 1 != 0,
        reset: bits & 2 != 0,
        terminate_all: bits & 4 != 0,
        vertically_causal: bits & 8 != 0,
        predictable_termination: bits & 16 != 0,
        segmentation_symbols: bits & 32 != 0,
        ht: false,
    }
}

#[test]
fn every_style_returns_what_was_encoded() {
    let mut decoder = Decoder::default();
    let mut random = Random(88_172_645_463_325_252);
    for bits in 0..64 {
        for size in [(64, 64), (1, 1), (5, 3), (3, 17), (32, 128), (4, 1024), (64, 62)] {
            for (i, orientation) in ORIENTATIONS.into_iter().enumerate() {
                let planes = [1, 6, 15, 30][(i + usize::from(bits)) % 4];
                let values = natural(size, planes, &mut random);
                let encoded = encode(size, orientation, style(bits), &values, usize::MAX);
                let mut out = vec![0; values.len()];
                encoded.with(|coded| decoder.decode(coded, &mut out)).unwrap();
                let whole: Vec<_> = out.iter().map(|value| value / 2).collect();
                assert_eq!(whole, values, "style {bits} size {size:?} {orientation:?}");
                assert!(out.iter().all(|value| *value == 0 || value & 1 == 1));
            }
        }
    }
}

#[test]
fn a_truncated_block_comes_out_at_midpoints() {
    let mut random = Random(7);
    let values = natural((16, 16), 8, &mut random);
    let all = encode((16, 16), Orientation::Hl, style(0), &values, usize::MAX);
    for planes in 1..all.bit_planes {
        let encoded =
            encode((16, 16), Orientation::Hl, style(0), &values, 3 * usize::from(planes) - 2);
        let mut out = vec![0; values.len()];
        encoded.with(|coded| Decoder::default().decode(coded, &mut out)).unwrap();
        let lowest = all.bit_planes - planes;
        for (value, out) in values.iter().zip(out) {
            let kept = value.abs() >> lowest << lowest;
            let expected = if kept == 0 { 0 } else { (2 * kept + (1 << lowest)) * value.signum() };
            assert_eq!(out, expected);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_decoders_agree_on_any_bytes(
        (width, height) in (1_u32..70, 1_u32..70).prop_filter("area", |(w, h)| {
            w.next_power_of_two() * h.next_power_of_two() <= 4096
        }),
        bits in 0_u8..64,
        orientation in 0_usize..4,
        bit_planes in 1_u8..=30,
        passes in 1_usize..89,
        data in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(0xFF_u8), 1 => Just(0x00_u8), 1 => 0x78_u8..0x92], 0..900),
    ) {
        let style = style(bits);
        let passes = passes.min(3 * usize::from(bit_planes) - 2);
        let mut segments = Vec::new();
        let mut rest = &data[..];
        let mut in_segment = 0;
        for number in 0..passes {
            in_segment += 1;
            if number + 1 == passes || style.ends_segment(number) {
                let (now, later) = rest.split_at(if number + 1 == passes { rest.len() } else { rest.len().min(number) });
                segments.push(Segment { passes: in_segment, data: now });
                rest = later;
                in_segment = 0;
            }
        }
        let coded = Coded {
            width,
            height,
            orientation: ORIENTATIONS[orientation],
            style,
            bit_planes,
            missing_bit_planes: 0,
            segments: &segments,
        };
        let mut fast = vec![0; (width * height) as usize];
        let mut baseline = fast.clone();
        let mut slow = fast.clone();
        let slowly = plain::decode(&mut plain::Scratch::default(), &coded, &mut slow);
        let quickly = Decoder::default().decode(&coded, &mut fast);
        prop_assert_eq!(Decoder::baseline().decode(&coded, &mut baseline), quickly);
        prop_assert_eq!(&fast, &baseline);
        match quickly {
            Ok(()) => {
                prop_assert!(slowly.is_ok());
                prop_assert_eq!(fast, slow);
            }
            // The plain decoder has no checks of how a codeword ends.
            Err(message) if message.contains("end") || message.contains("marker") => {}
            Err(message) => prop_assert_eq!(slowly, Err(message)),
        }
    }
}
