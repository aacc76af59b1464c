//! Which siblings an image has, and what their names are.

use std::fmt;
use std::str::FromStr;

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
}

impl ViewKind {
    /// All kinds, in the order in which they are listed.
    pub const ALL: [ViewKind; 5] =
        [ViewKind::Png, ViewKind::Preview, ViewKind::Npy, ViewKind::Tif, ViewKind::Json];

    /// What the name of the sibling has behind the image's.
    pub fn suffix(self) -> &'static str {
        match self {
            ViewKind::Png => ".png",
            ViewKind::Preview => ".preview.png",
            ViewKind::Npy => ".npy",
            ViewKind::Tif => ".tif",
            ViewKind::Json => ".json",
        }
    }

    /// The sibling's name without its dot, as `X.json` has it.
    pub fn label(self) -> &'static str {
        &self.suffix()[1..]
    }

    fn option(self) -> &'static str {
        match self {
            ViewKind::Preview => "preview",
            other => other.label(),
        }
    }
}

/// Which kinds of siblings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewSet([bool; ViewKind::ALL.len()]);

impl ViewSet {
    /// All of them.
    pub const ALL: ViewSet = ViewSet([true; ViewKind::ALL.len()]);
    /// None.
    pub const NONE: ViewSet = ViewSet([false; ViewKind::ALL.len()]);

    /// Whether siblings of this kind exist.
    pub fn has(self, kind: ViewKind) -> bool {
        self.0[kind as usize]
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == ViewSet::NONE
    }

    /// The kinds, in the order in which they are listed.
    pub fn kinds(self) -> impl Iterator<Item = ViewKind> {
        ViewKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }

    /// Of which image `name` may be a sibling, and of which kind; the longest
    /// ending first: `a.preview.png` is a preview of `a` rather than the PNG of
    /// `a.preview`.
    pub fn sources(self, name: &str) -> impl Iterator<Item = (&str, ViewKind)> {
        let order =
            [ViewKind::Preview, ViewKind::Png, ViewKind::Npy, ViewKind::Tif, ViewKind::Json];
        order.into_iter().filter(move |kind| self.has(*kind)).filter_map(move |kind| {
            let source = name.strip_suffix(kind.suffix())?;
            (!source.is_empty()).then_some((source, kind))
        })
    }
}

/// Why a list of views does not parse.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a view: give 'none', 'all', or some of png,preview,npy,tif,json")]
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
            let kind = ViewKind::ALL.into_iter().find(|kind| kind.option() == word);
            set.0[kind.ok_or_else(|| UnknownView(word.to_owned()))? as usize] = true;
        }
        Ok(set)
    }
}

impl fmt::Display for ViewSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.kinds().map(ViewKind::option).collect::<Vec<_>>().join(","))
    }
}

/// Whether a file is listed as an image: by its name, since a listing reads nothing.
/// What is looked up is recognised by its content.
pub fn has_image_name(name: &str) -> bool {
    const ENDINGS: [&str; 27] = [
        "jp2", "j2k", "jpf", "jpx", "jpc", "j2c", "jpg2", "png", "jpg", "jpeg", "jpe", "jfif",
        "tif", "tiff", "webp", "gif", "bmp", "dib", "pnm", "pbm", "pgm", "ppm", "tga", "hdr",
        "exr", "qoi", "pam",
    ];
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    ENDINGS.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_is_tried_first_and_no_ending_alone_is_a_name() {
        let sources = |name| ViewSet::ALL.sources(name).collect::<Vec<_>>();
        assert_eq!(
            sources("a.jp2.preview.png"),
            [("a.jp2", ViewKind::Preview), ("a.jp2.preview", ViewKind::Png)]
        );
        assert_eq!(sources("a.jp2.npy"), [("a.jp2", ViewKind::Npy)]);
        assert_eq!(sources(".png"), []);
        assert_eq!(sources("a.jp2.PNG"), []);
        assert_eq!(ViewSet::NONE.sources("a.png").count(), 0);
    }

    #[test]
    fn a_list_of_views_parses_and_prints_back() {
        for text in ["png", "png,npy", "png,preview,npy,tif,json", "none"] {
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
