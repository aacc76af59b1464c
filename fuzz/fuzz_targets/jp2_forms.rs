//! Files that are cut from any bytes: their size is the one that was promised, and what is
//! opened again is the same image with an index.
#![no_main]

use libfuzzer_sys::fuzz_target;
use s3mem_fuzz::memory::{LIMITS, let_decoders_panic, run, source};
use s3mem_fuzz::raster::jpeg2000::open;
use s3mem_fuzz::raster::{Form, Piece, RasterError, Spliced};

fn put_together(file: &Spliced, original: &[u8]) -> Vec<u8> {
    let piece = |piece| match piece {
        Piece::Made(bytes) => bytes.to_vec(),
        Piece::Original(range) => original[range.start as usize..range.end as usize].to_vec(),
    };
    file.range(0..u64::MAX).flat_map(piece).collect()
}

fuzz_target!(init: let_decoders_panic(), |data: &[u8]| {
    let (bytes, head) = source(data);
    run(async {
        let Ok(raster) = open(bytes, head, &LIMITS).await else { return };
        for form in [Form::IndexedJp2, Form::IndexedJ2k, Form::ReducedJ2k(1), Form::ReducedJ2k(2)] {
            let promised = raster.form_size(form);
            let Ok(file) = raster.form(form).await else { continue };
            assert!(promised.is_none_or(|promised| promised == file.size()));
            let made = put_together(&file, data);
            assert_eq!(made.len() as u64, file.size());
            let (again, head) = source(&made);
            let again = match open(again, head, &LIMITS).await {
                // There are more samples for each byte of it.
                Err(RasterError::Limit { .. }) => continue,
                again => again.expect("it is an image"),
            };
            let level = match form {
                Form::ReducedJ2k(level) => level,
                Form::IndexedJp2 | Form::IndexedJ2k => 0,
            };
            let (ours, theirs) = (again.info().grid.image(0), raster.info().grid.image(level));
            assert_eq!((ours.width, ours.height), (theirs.width, theirs.height));
        }
    });
});
