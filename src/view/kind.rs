//! Which siblings an image has, and what their names are.

use std::borrow::Cow;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::raster::Form;

/// A kind of virtual sibling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ViewKind {
    /// `X.png`: the image as it is.
    Png,
    /// `X.preview.png`: a small picture of 8 bits, for people.
    Preview,
    /// `X.npy`: the pixels as numpy has them.
    Npy,
    /// `X.tif`: the pixels in tiles, with overviews and georeference.
    Tif,
    /// `X.json`: what the header says.
    Json,
    /// `X.indexed.jp2`: a JP2 file with an index of its tile-parts.
    IndexedJp2,
    /// `X.indexed.j2k`: a raw codestream with an index of its tile-parts.
    IndexedJ2k,
    /// `X.r2.j2k`: half as wide and high, cut from the codestream.
    R2,
    /// `X.r4.j2k`
    R4,
    /// `X.r8.j2k`
    R8,
    /// `X.r16.j2k`
    R16,
}

impl ViewKind {
    /// Those that a directory may list, in that order.
    pub const LISTED: [ViewKind; 5] =
        [ViewKind::Png, ViewKind::Preview, ViewKind::Npy, ViewKind::Tif, ViewKind::Json];

    /// All kinds: the listed ones, and then those that are found by name alone.
    pub const ALL: [ViewKind; 11] = [
        ViewKind::Png,
        ViewKind::Preview,
        ViewKind::Npy,
        ViewKind::Tif,
        ViewKind::Json,
        ViewKind::IndexedJp2,
        ViewKind::IndexedJ2k,
        ViewKind::R2,
        ViewKind::R4,
        ViewKind::R8,
        ViewKind::R16,
    ];

    /// What the name of the sibling has behind the image's.
    pub fn suffix(self) -> &'static str {
        match self {
            ViewKind::Png => ".png",
            ViewKind::Preview => ".preview.png",
            ViewKind::Npy => ".npy",
            ViewKind::Tif => ".tif",
            ViewKind::Json => ".json",
            ViewKind::IndexedJp2 => ".indexed.jp2",
            ViewKind::IndexedJ2k => ".indexed.j2k",
            ViewKind::R2 => ".r2.j2k",
            ViewKind::R4 => ".r4.j2k",
            ViewKind::R8 => ".r8.j2k",
            ViewKind::R16 => ".r16.j2k",
        }
    }

    /// Whether programs read windows of it: the formats that have pixels at known places.
    pub(super) fn has_windows(self) -> bool {
        matches!(self, ViewKind::Npy | ViewKind::Tif)
    }

    /// The form of the image's own file that it is, if it is made without decoding.
    pub fn form(self) -> Option<Form> {
        match self {
            ViewKind::IndexedJp2 => Some(Form::IndexedJp2),
            ViewKind::IndexedJ2k => Some(Form::IndexedJ2k),
            ViewKind::R2 => Some(Form::ReducedJ2k(1)),
            ViewKind::R4 => Some(Form::ReducedJ2k(2)),
            ViewKind::R8 => Some(Form::ReducedJ2k(3)),
            ViewKind::R16 => Some(Form::ReducedJ2k(4)),
            ViewKind::Png | ViewKind::Preview | ViewKind::Npy | ViewKind::Tif | ViewKind::Json => {
                None
            }
        }
    }

    /// The sibling's name without its dot, as `X.json` has it.
    pub fn label(self) -> &'static str {
        &self.suffix()[1..]
    }

    fn option(self) -> &'static str {
        match self {
            ViewKind::Preview => "preview",
            ViewKind::IndexedJp2 | ViewKind::IndexedJ2k => "indexed",
            ViewKind::R2 | ViewKind::R4 | ViewKind::R8 | ViewKind::R16 => "reduced",
            other => other.label(),
        }
    }
}

/// Which sibling of an image: of which of its pages, and of which kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct View {
    /// The page, from 1 on, if the name says it; the first one otherwise.
    pub page: Option<NonZeroU32>,
    /// The kind.
    pub kind: ViewKind,
}

impl View {
    /// What the name of the sibling has behind the image's: `.png`, `.page-2.png`.
    pub fn suffix(self) -> Cow<'static, str> {
        match self.page {
            None => self.kind.suffix().into(),
            Some(page) => format!("{PAGE}{page}{}", self.kind.suffix()).into(),
        }
    }

    /// The number of the page that it shows, from 1 on.
    pub(super) fn number(self) -> u32 {
        self.page.map_or(1, NonZeroU32::get)
    }
}

impl From<ViewKind> for View {
    fn from(kind: ViewKind) -> Self {
        View { page: None, kind }
    }
}

/// What is between an image's name and the number of a page.
const PAGE: &str = ".page-";

/// The image of which `name` says a page, and which: `a.tif.page-2`. A number has one
/// spelling alone.
fn page_of(name: &str) -> Option<(&str, NonZeroU32)> {
    let (image, number) = name.rsplit_once(PAGE)?;
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let page = number.parse().ok().filter(|_| is_plain)?;
    (!image.is_empty()).then_some((image, page))
}

/// Which kinds of siblings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewSet([bool; ViewKind::ALL.len()]);

impl ViewSet {
    /// All of them.
    pub const ALL: ViewSet = ViewSet([true; ViewKind::ALL.len()]);
    /// Those that a directory may list.
    pub const LISTED: ViewSet = ViewSet::of(&ViewKind::LISTED);
    /// None.
    pub const NONE: ViewSet = ViewSet([false; ViewKind::ALL.len()]);

    /// These.
    pub const fn of(kinds: &[ViewKind]) -> ViewSet {
        let mut set = [false; ViewKind::ALL.len()];
        let mut at = 0;
        while at < kinds.len() {
            set[kinds[at] as usize] = true;
            at += 1;
        }
        ViewSet(set)
    }

    /// Whether siblings of this kind exist.
    pub fn has(self, kind: ViewKind) -> bool {
        self.0[kind as usize]
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == ViewSet::NONE
    }

    /// All of the kinds.
    pub fn kinds(self) -> impl Iterator<Item = ViewKind> {
        ViewKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Those of both sets.
    pub fn both(self, other: ViewSet) -> ViewSet {
        ViewSet(std::array::from_fn(|kind| self.0[kind] && other.0[kind]))
    }

    /// The kinds that a directory may list, in that order.
    pub fn listed(self) -> impl Iterator<Item = ViewKind> {
        ViewKind::LISTED.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Of which image `name` may be a sibling, and of which page and kind; the longest
    /// ending first: `a.preview.png` is a preview of `a` rather than the PNG of
    /// `a.preview`, and `a.page-2.png` the PNG of a page of `a`.
    pub fn sources(self, name: &str) -> impl Iterator<Item = (&str, View)> {
        let first = ViewKind::ALL.into_iter().filter(|kind| *kind == ViewKind::Preview);
        let order =
            first.chain(ViewKind::ALL.into_iter().filter(|kind| *kind != ViewKind::Preview));
        order.filter(move |kind| self.has(*kind)).flat_map(move |kind| {
            let source = name.strip_suffix(kind.suffix()).filter(|source| !source.is_empty());
            let of_page = source.filter(|_| kind.form().is_none()).and_then(page_of);
            let of_page = of_page.map(|(image, page)| (image, View { page: Some(page), kind }));
            of_page.into_iter().chain(source.map(|source| (source, View::from(kind))))
        })
    }
}

/// Why a list of views does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is not a view: give 'none', 'all', or some of png,preview,npy,tif,json,indexed,reduced"
)]
pub struct UnknownView(String);

impl FromStr for ViewSet {
    type Err = UnknownView;

    /// `png,npy`, `all` or `none`.
    fn from_str(text: &str) -> Result<Self, UnknownView> {
        match text {
            "all" => return Ok(ViewSet::ALL),
            "none" => return Ok(ViewSet::NONE),
            _ => {}
        }
        let mut set = ViewSet::NONE;
        for word in text.split(',').map(str::trim) {
            let mut is_known = false;
            for kind in ViewKind::ALL.into_iter().filter(|kind| kind.option() == word) {
                set.0[kind as usize] = true;
                is_known = true;
            }
            if !is_known {
                return Err(UnknownView(word.to_owned()));
            }
        }
        Ok(set)
    }
}

impl fmt::Display for ViewSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut words: Vec<_> = self.kinds().map(ViewKind::option).collect();
        words.dedup();
        f.write_str(&words.join(","))
    }
}

/// Whether a file is listed as an image: by its name, since a listing reads nothing.
/// What is looked up is recognised by its content.
pub fn has_image_name(name: &str) -> bool {
    const ENDINGS: [&str; 35] = [
        "jp2", "j2k", "jpf", "jpx", "jpc", "j2c", "jpg2", "png", "jpg", "jpeg", "jpe", "jfif",
        "tif", "tiff", "webp", "gif", "bmp", "dib", "pnm", "pbm", "pgm", "ppm", "tga", "hdr",
        "exr", "qoi", "pam", "jls", "rle", "fits", "fit", "fts", "jxl", "dcm", "dicom",
    ];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(name: &str) -> Vec<(&str, Option<u32>, ViewKind)> {
        let sources = ViewSet::ALL.sources(name);
        sources.map(|(image, view)| (image, view.page.map(NonZeroU32::get), view.kind)).collect()
    }

    #[test]
    fn the_longest_ending_is_tried_first_and_no_ending_alone_is_a_name() {
        assert_eq!(
            sources("a.jp2.preview.png"),
            [("a.jp2", None, ViewKind::Preview), ("a.jp2.preview", None, ViewKind::Png)]
        );
        assert_eq!(sources("a.jp2.npy"), [("a.jp2", None, ViewKind::Npy)]);
        assert_eq!(sources("a.jp2.indexed.jp2"), [("a.jp2", None, ViewKind::IndexedJp2)]);
        assert_eq!(sources("a.r4.j2k"), [("a", None, ViewKind::R4)]);
        assert_eq!(sources(".png"), []);
        assert_eq!(sources("a.jp2.PNG"), []);
        assert_eq!(ViewSet::NONE.sources("a.png").count(), 0);
    }

    #[test]
    fn a_page_has_a_name_of_one_spelling_and_what_else_is_spelled_like_one_has_its_own() {
        assert_eq!(
            sources("a.tif.page-12.preview.png"),
            [
                ("a.tif", Some(12), ViewKind::Preview),
                ("a.tif.page-12", None, ViewKind::Preview),
                ("a.tif.page-12.preview", None, ViewKind::Png)
            ]
        );
        assert_eq!(
            sources("a.page-1.page-2.tif"),
            [("a.page-1", Some(2), ViewKind::Tif), ("a.page-1.page-2", None, ViewKind::Tif)]
        );
        for other in
            ["a.page-0", "a.page-02", "a.page-+2", "a.page-", "a.page-5000000000", ".page-2"]
        {
            assert_eq!(sources(&format!("{other}.npy")), [(other, None, ViewKind::Npy)]);
        }
        assert_eq!(sources("a.page-2.r2.j2k"), [("a.page-2", None, ViewKind::R2)]);
        for name in ["a.page-2.json", "a.page-17.preview.png", "a.tif"] {
            let (image, view) = ViewSet::ALL.sources(name).next().unwrap();
            assert_eq!(format!("{image}{}", view.suffix()), name);
        }
    }

    #[test]
    fn a_list_of_views_parses_and_prints_back() {
        for text in ["png", "png,npy", "png,preview,npy,tif,json", "png,indexed,reduced", "none"] {
            assert_eq!(text.parse::<ViewSet>().unwrap().to_string(), text);
        }
        assert_eq!("all".parse(), Ok(ViewSet::ALL));
        assert_eq!("png,gif".parse::<ViewSet>(), Err(UnknownView("gif".into())));
        assert!("".parse::<ViewSet>().is_err());
    }

    #[test]
    fn images_are_listed_by_their_endings() {
        assert!(has_image_name("B01.jp2") && has_image_name("a.JPG"));
        assert!(!has_image_name("jp2") && !has_image_name("notes.txt"));
    }
}
