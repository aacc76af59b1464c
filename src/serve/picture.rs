//! Pictures of an image file for a viewer: `?tile=info`, `?tile=small` and `?tile=Z/X/Y`.

use std::fmt::Write;
use std::num::NonZeroU32;

use hyper::StatusCode;
use hyper::header::{CACHE_CONTROL, ETAG, HeaderValue};
use hyper::http::request::Parts;

use super::answer::{ASK_EACH_TIME, Answer, JSON, empty, refusal, set, text};
use super::conditions::{Outcome, Validators};
use super::open::Node;
use super::target::Target;
use crate::fs::{FsError, PictureFacts, Place, Ranges, Shot, ShownBands, WebImage};

/// What is asked for.
enum Asked {
    Facts,
    Small,
    Tile(Place),
}

/// Answers a request for a picture, or for what a viewer has to know of one.
///
/// # Errors
/// Why the image can't be decoded.
pub(super) async fn answer(
    asked: &Parts,
    target: &Target,
    what: &str,
    node: Node,
) -> Result<Answer, FsError> {
    let Some((what, shot, stretch)) = parse(target, what) else {
        let sentence = "A picture is ?tile=info, ?tile=small or ?tile=Z/X/Y, with &bands=4,3,2 or \
            &bands=1, &stretch=LOW,HIGH for each of them, and &page=2, as you like.";
        return Ok(refusal(StatusCode::BAD_REQUEST, sentence));
    };
    let web = node.web();
    let image = web.image(node.attr.ino).await?;
    let tag = image.as_ref().and_then(WebImage::tag).map(|tag| {
        let query = target.raw_query.as_deref().unwrap_or_default();
        let version = env!("CARGO_PKG_VERSION");
        format!("{tag}-{:08x}", crc32fast::hash(format!("{version} {query}").as_bytes()))
    });
    let modified = image.as_ref().map_or(node.attr.of.modified, WebImage::modified);
    let validators = Validators::new(tag.as_deref(), modified, node.attr.size);
    if validators.judge(&asked.headers) == Outcome::NotModified {
        let mut answer = empty(StatusCode::NOT_MODIFIED);
        describe(&mut answer, &validators);
        return Ok(answer);
    }
    let made = match (what, &image) {
        (Asked::Facts, image) => {
            // No picture is an answer too: whoever shows a file asks this first.
            let facts = match image {
                Some(image) => web.picture(image, shot).await?,
                None => None,
            };
            let json = facts.map_or_else(|| "null\n".to_owned(), |facts| as_json(&facts));
            Some((JSON, json.into_bytes()))
        }
        (Asked::Small, Some(image)) => web.small_picture(image, shot).await?.map(|png| (PNG, png)),
        (Asked::Tile(place), Some(image)) => {
            let tile = web.picture_tile(image, shot, place, stretch).await?;
            tile.map(|png| (PNG, png))
        }
        (Asked::Small | Asked::Tile(_), None) => None,
    };
    let Some((kind, bytes)) = made else {
        let sentence = "There is no such picture: this is no image, or the tile lies outside.";
        return Ok(refusal(StatusCode::NOT_FOUND, sentence));
    };
    let mut answer = text(StatusCode::OK, kind, bytes);
    describe(&mut answer, &validators);
    Ok(answer)
}

const PNG: &str = "image/png";

fn describe(answer: &mut Answer, validators: &Validators) {
    set(answer, ETAG, &validators.etag);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(ASK_EACH_TIME));
}

fn parse(target: &Target, what: &str) -> Option<(Asked, Shot, Option<Ranges>)> {
    let what = match what {
        "info" => Asked::Facts,
        "small" => Asked::Small,
        place => {
            let mut numbers = place.split('/');
            let place = Place {
                zoom: numbers.next()?.parse().ok()?,
                column: numbers.next()?.parse().ok()?,
                row: numbers.next()?.parse().ok()?,
            };
            if numbers.next().is_some() {
                return None;
            }
            Asked::Tile(place)
        }
    };
    let page = match target.word("page") {
        None => None,
        Some(page) => Some(page.parse::<NonZeroU32>().ok()?),
    };
    let bands = match target.word("bands") {
        None => None,
        Some(list) => Some(bands(list)?),
    };
    let stretch = match target.word("stretch") {
        None => None,
        Some(list) => Some(stretch(list)?),
    };
    Some((what, Shot { page, bands }, stretch))
}

/// One band or three, counted from 1.
fn bands(list: &str) -> Option<ShownBands> {
    let band = |text: &str| text.parse::<u16>().ok()?.checked_sub(1);
    let all: Option<Vec<u16>> = list.split(',').map(band).collect();
    match all?[..] {
        [band] => Some(ShownBands::Gray(band)),
        [red, green, blue] => Some(ShownBands::Rgb([red, green, blue])),
        _ => None,
    }
}

/// From which value to which: for all bands, or for each of three.
fn stretch(list: &str) -> Option<Ranges> {
    let number = |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite());
    let all: Option<Vec<f64>> = list.split(',').map(number).collect();
    match all?[..] {
        [low, high] => Some(vec![Some((low, high)); 3]),
        [a, b, c, d, e, f] => Some(vec![Some((a, b)), Some((c, d)), Some((e, f))]),
        _ => None,
    }
}

fn as_json(facts: &PictureFacts) -> String {
    let PictureFacts { width, height, zoom, bands, sample, choice, shown, ranges } = facts;
    let ranges: Vec<String> = ranges
        .iter()
        .map(|range| {
            range.map_or_else(|| "null".to_owned(), |(low, high)| format!("[{low},{high}]"))
        })
        .collect();
    let mut out = String::new();
    // Writing into a String does not fail.
    let _ = writeln!(
        out,
        "{{\"width\":{width},\"height\":{height},\"zoom\":{zoom},\"bands\":{bands},\
         \"sample\":\"{sample}\",\"choice\":{choice},\"shown\":{shown:?},\"ranges\":[{}]}}",
        ranges.join(",")
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str) -> Option<(Shot, Option<Ranges>)> {
        let target = Target::parse("/a", Some(query)).unwrap();
        let (_, shot, stretch) = parse(&target, target.word("tile").unwrap())?;
        Some((shot, stretch))
    }

    #[test]
    fn what_makes_no_sense_is_no_picture() {
        let (shot, stretch) = of("tile=3/1/2&bands=4,3,2&stretch=0,9.5&page=2").unwrap();
        assert_eq!(shot.bands, Some(ShownBands::Rgb([3, 2, 1])));
        assert_eq!(shot.page, NonZeroU32::new(2));
        assert_eq!(stretch, Some(vec![Some((0.0, 9.5)); 3]));
        assert!(of("tile=info").is_some() && of("tile=small&bands=1").is_some());
        for bad in [
            "tile=",
            "tile=1/2",
            "tile=1/2/3/4",
            "tile=300/0/0",
            "tile=-1/0/0",
            "tile=x",
            "tile=info&bands=0",
            "tile=info&bands=1,2",
            "tile=info&page=0",
            "tile=0/0/0&stretch=1",
            "tile=0/0/0&stretch=nan,1",
            "tile=0/0/0&stretch=1,inf",
        ] {
            assert!(of(bad).is_none(), "{bad}");
        }
    }
}
