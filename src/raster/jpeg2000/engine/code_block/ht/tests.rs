use super::super::testing::{Random, natural};
use super::super::{Coded, Decoder, Orientation, Segment, Style};
use super::testing::encode;
use proptest::prelude::*;

fn decode(coded: &Coded<'_>) -> Result<Vec<i32>, &'static str> {
    let mut out = vec![0; (coded.width * coded.height) as usize];
    let mut baseline = out.clone();
    let decoded = Decoder::default().decode(coded, &mut out);
    assert_eq!(Decoder::baseline().decode(coded, &mut baseline), decoded);
    assert_eq!(out, baseline);
    decoded.map(|()| out)
}

#[test]
fn every_size_and_depth_returns_what_was_encoded() {
    let mut random = Random(4_101_842_887_655_102_017);
    for planes in 1..=30 {
        for size in [
            (64, 64),
            (1, 1),
            (5, 3),
            (3, 17),
            (32, 128),
            (4, 1024),
            (1024, 4),
            (64, 62),
            (17, 1),
            (2, 2),
        ] {
            for passes in 1..=3 {
                for vertically_causal in [false, true] {
                    let values = natural(size, planes, &mut random);
                    let style = Style { vertically_causal, ..Style::default() };
                    let (encoded, expected) = encode(size, &values, passes, style);
                    let out = encoded.with(decode);
                    assert_eq!(
                        out.as_ref(),
                        Ok(&expected),
                        "{planes} planes, size {size:?}, {passes} passes"
                    );
                    if passes == 1 {
                        assert!(
                            expected.iter().zip(values).all(|(found, value)| found / 2 == value)
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn noise_returns_as_it_was_encoded() {
    let mut random = Random(99);
    for planes in [1_u32, 2, 3, 8, 16, 24, 30] {
        let values: Vec<_> = (0..4096)
            .map(|_| random.below(1 << planes) as i32 * if random.below(2) == 0 { 1 } else { -1 })
            .collect();
        for passes in 1..=3 {
            let (encoded, expected) = encode((64, 64), &values, passes, Style::default());
            assert_eq!(encoded.with(decode), Ok(expected));
        }
    }
}

#[test]
fn a_cut_or_impossible_segment_is_an_error() {
    let values = natural((64, 64), 9, &mut Random(5));
    let (encoded, _) = encode((64, 64), &values, 1, Style::default());
    let data = &encoded.segments[0].1;
    for data in [&data[..0], &data[..1], &[0, 0], &[0x10, 0xFF]] {
        let changed = |coded: &Coded<'_>| {
            decode(&Coded { segments: &[Segment { passes: 1, data }], ..*coded })
        };
        assert!(encoded.with(changed).is_err());
    }
    // Fewer bit-planes than the magnitudes need.
    let changed = |coded: &Coded<'_>| {
        decode(&Coded { missing_bit_planes: coded.missing_bit_planes - 1, ..*coded })
    };
    assert!(encoded.with(changed).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_decode_or_fail(
        (width, height) in (1_u32..70, 1_u32..70).prop_filter("area", |(w, h)| {
            w.next_power_of_two() * h.next_power_of_two() <= 4096
        }),
        missing_bit_planes in 0_u8..=31,
        bit_planes in 0_u8..=31,
        suffix in 0_usize..400,
        mut cleanup in prop::collection::vec(prop_oneof![8 => any::<u8>(), 1 => Just(0xFF_u8), 1 => Just(0x7F_u8)], 0..900),
        refinement in prop::collection::vec(any::<u8>(), 0..200),
        refining in 0_u8..4,
        vertically_causal in any::<bool>(),
    ) {
        if let [.., low, high] = &mut cleanup[..] {
            *low = *low & 0xF0 | (suffix & 15) as u8;
            *high = (suffix >> 4) as u8;
        }
        let coded = Coded {
            width,
            height,
            orientation: Orientation::Hh,
            style: Style { ht: true, vertically_causal, ..Style::default() },
            bit_planes,
            missing_bit_planes,
            segments: &[Segment { passes: 1, data: &cleanup }, Segment { passes: refining, data: &refinement }],
        };
        let _ = decode(&coded);
    }

    #[test]
    fn a_damaged_block_decodes_or_fails(seed in 1_u64.., planes in 1_u32..=30, at in any::<prop::sample::Index>(), by in 1_u8..) {
        let values = natural((32, 32), planes, &mut Random(seed));
        let (mut encoded, _) = encode((32, 32), &values, 3, Style::default());
        for (_, data) in &mut encoded.segments {
            if !data.is_empty() {
                *at.get_mut(data) ^= by;
            }
        }
        let _ = encoded.with(decode);
    }
}
