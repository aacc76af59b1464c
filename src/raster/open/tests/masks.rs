//! Masks and overviews of TIFFs, in the file and beside it, as GDAL reads them; see
//! `tests/support/masks/make.py`.

use super::*;
use crate::raster::Beside;

/// A file with others beside it.
#[derive(Debug)]
struct Accompanied {
    own: Arc<Memory>,
    beside: Vec<(Beside, Arc<Memory>)>,
}

#[async_trait]
impl Source for Accompanied {
    fn size(&self) -> u64 {
        self.own.size()
    }

    fn beside(&self, which: Beside) -> Option<Arc<dyn Source>> {
        let found = self.beside.iter().find(|(other, _)| *other == which);
        found.map(|(_, file)| file.clone() as Arc<dyn Source>)
    }

    async fn read(&self, range: Range<u64>) -> Result<Bytes, SourceError> {
        self.own.read(range).await
    }
}

fn of_folder(name: &str) -> Option<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/support/masks");
    std::fs::read(folder.join(name)).ok()
}

/// An image with the files beside it.
fn raster(name: &str) -> Arc<dyn Raster> {
    let beside = Beside::ALL.into_iter().filter_map(|which| {
        Some((which, memory(of_folder(&format!("{name}{}", which.suffix()))?)))
    });
    let source = Accompanied { own: memory(of_folder(name).unwrap()), beside: beside.collect() };
    run(open(Arc::new(source), &Limits::default())).unwrap()
}

fn samples(raster: &dyn Raster, at: u8) -> Vec<u8> {
    run(level(raster, at)).unwrap().samples.to_vec()
}

#[test]
fn masks_and_overviews_in_the_file_and_beside_it_are_those_that_gdal_reads() {
    use Beside::{Mask, MaskOverviews, Overviews};
    for (name, masked, beside) in [
        ("inside.tif", &[true, true, true][..], &[][..]),
        ("bytes.tif", &[true], &[]),
        ("palette.tif", &[true], &[]),
        ("beside.tif", &[true], &[Mask]),
        ("overviews.tif", &[], &[Overviews]),
        ("both.tif", &[true, false, false], &[Overviews]),
        ("levels.tif", &[true, true, true], &[Overviews, Mask, MaskOverviews]),
        ("bands.tif", &[true], &[]),
        ("apart.tif", &[true, true, true], &[Overviews, Mask, MaskOverviews]),
    ] {
        let raster = raster(name);
        let info = raster.info();
        assert_eq!((&info.extras.masked[..], &info.extras.beside[..]), (masked, beside), "{name}");
        assert!(info.warnings.is_empty(), "{name} {:?}", info.warnings);
        let levels = (0..).map_while(|at| of_folder(&format!("{name}.{at}.raw")));
        let levels: Vec<Vec<u8>> = levels.collect();
        assert_eq!(usize::from(info.levels), levels.len(), "{name}");
        for (at, expected) in (0..).zip(&levels) {
            assert!(samples(&*raster, at) == *expected, "{name} {at}");
        }
        let Some(mask) = raster.mask() else {
            assert!(masked.is_empty(), "{name}");
            continue;
        };
        for at in (0..info.levels).filter(|at| masked[usize::from(*at)]) {
            let expected = of_folder(&format!("{name}.{at}.mask.raw")).unwrap();
            let own = info.mask_level(at).unwrap();
            assert_eq!(mask.info().image(own), info.image(at), "{name} {at}");
            let is_apart = ["bands.tif", "apart.tif"].contains(&name);
            assert_eq!(info.mask_bytes(), if is_apart { 3 } else { 1 }, "{name}");
            assert_eq!(mask.info().pixel_bytes(), info.mask_bytes(), "{name}");
            assert!(samples(&*mask, own) == expected, "{name} {at}");
        }
    }
}

#[test]
fn what_lies_beside_an_image_and_is_not_of_it_is_left_out_with_a_warning() {
    let other = raster("other.tif");
    assert_eq!((other.info().levels, other.info().extras.beside.len()), (1, 0));
    let said = &other.info().warnings[..];
    assert!(matches!(said, [one] if one.starts_with("the .ovr beside it is left out")), "{said:?}");
    let with = |own: &str, which, file: Vec<u8>| {
        let beside = vec![(which, memory(file))];
        let source = Accompanied { own: memory(of_folder(own).unwrap()), beside };
        run(open(Arc::new(source), &Limits::default())).unwrap()
    };
    // A mask of another size, one that says nothing of whom it is for, and no TIFF.
    let large = "tests/support/images/uint8.tif";
    let large = std::fs::read(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(large)).unwrap();
    for (own, which, file, said) in [
        ("other.tif", Beside::Mask, large.clone(), "no mask of all bands, nor one for each"),
        ("other.tif", Beside::Mask, b"II*\0 too short".to_vec(), "left out"),
        ("other.tif", Beside::Overviews, b"no tiff".to_vec(), "no TIFF"),
        ("other.tif", Beside::Overviews, large, "other bands, types or sizes"),
    ] {
        let raster = with(own, which, file);
        let warnings = &raster.info().warnings;
        assert!(matches!(&warnings[..], [one] if one.contains(said)), "{said}: {warnings:?}");
        assert!(raster.mask().is_none() && raster.info().levels == 1);
        assert_eq!(samples(&*raster, 0).len(), 75 * 101 * 2);
    }
    // Overviews of a mask that are none of the image's levels; and of a mask that is not there.
    let file = |name| memory(of_folder(name).unwrap());
    let beside = |masks: Vec<u8>| {
        let files =
            [(Beside::Overviews, file("levels.tif.ovr")), (Beside::Mask, file("levels.tif.msk"))];
        let beside = files.into_iter().chain([(Beside::MaskOverviews, memory(masks))]).collect();
        let source = Accompanied { own: file("levels.tif"), beside };
        run(open(Arc::new(source), &Limits::default())).unwrap()
    };
    let wrong = [
        (of_folder("apart.tif.msk.ovr").unwrap(), "other bands or sizes"),
        (b"?".to_vec(), "no TIFF"),
    ];
    for (masks, said) in wrong {
        let raster = beside(masks);
        let info = raster.info();
        assert!(matches!(&info.warnings[..], [one] if one.contains(said)), "{:?}", info.warnings);
        assert_eq!((&info.extras.masked[..], info.levels), (&[true, false, false][..], 3));
    }
    let alone = with("levels.tif", Beside::MaskOverviews, of_folder("levels.tif.msk.ovr").unwrap());
    assert!(alone.mask().is_none() && alone.info().warnings.is_empty());
    // What the file itself has is not looked for beside it.
    let own = with("inside.tif", Beside::Overviews, b"no tiff".to_vec());
    assert!(own.info().warnings.is_empty() && own.info().levels == 3);
}
