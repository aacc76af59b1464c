//! The header of a part of a FITS file: blocks of 36 cards, each 80 characters long
//! (FITS 4.0, 4.1 to 4.2).

use crate::raster::RasterError;
use crate::raster::error::corrupt;
use crate::raster::file::File;

/// What header and data are padded to, in bytes (3.1).
pub(super) const BLOCK_BYTES: u64 = 2880;
const CARD_BYTES: usize = 80;

/// Keywords with their values as they are spelled, strings without their quotes.
#[derive(Debug, Default)]
pub(super) struct Cards(Vec<(String, String)>);

impl Cards {
    /// The cards from `at` on, and where their last block ends.
    ///
    /// # Errors
    /// There is no end of them; that of the source.
    pub(super) async fn read(file: &File, mut at: u64) -> Result<(Cards, u64), RasterError> {
        let mut cards = Cards::default();
        loop {
            let block = file.read(at..at.saturating_add(BLOCK_BYTES)).await?;
            at += BLOCK_BYTES;
            for card in block.chunks_exact(CARD_BYTES) {
                if card.starts_with(b"END") && card[3..8] == *b"     " {
                    return Ok((cards, at));
                }
                cards.take(card);
            }
        }
    }

    /// Notes a card that has a value; what else is written in a header, in any letters, is a
    /// comment.
    fn take(&mut self, card: &[u8]) {
        let (name, value) = card.split_at(8);
        if let (Ok(name), Some(value)) = (str::from_utf8(name), value.strip_prefix(b"= ")) {
            let value = value_of(&String::from_utf8_lossy(value));
            self.0.push((name.trim_end().to_owned(), value));
        }
    }

    /// The value of a keyword; the first one, if there are several.
    pub(super) fn text(&self, keyword: &str) -> Option<&str> {
        let found = self.0.iter().find(|(name, _)| name == keyword);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A whole number, if there is one.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn whole(&self, keyword: &str) -> Result<Option<i64>, RasterError> {
        let number = |text: &str| {
            let parsed = text.parse().ok();
            parsed.ok_or_else(|| corrupt(format!("{keyword} is no whole number: {text}")))
        };
        self.text(keyword).map(number).transpose()
    }

    /// A whole number that must be there and not be negative.
    ///
    /// # Errors
    /// It is not.
    pub(super) fn count(&self, keyword: &str) -> Result<u64, RasterError> {
        let number = self.whole(keyword)?.and_then(|number| u64::try_from(number).ok());
        number.ok_or_else(|| corrupt(format!("it has no {keyword}")))
    }

    /// A number, if there is one; `1.5D3` is one.
    ///
    /// # Errors
    /// It is something else.
    pub(super) fn number(&self, keyword: &str) -> Result<Option<f64>, RasterError> {
        let number = |text: &str| {
            let parsed = text.replace(['D', 'd'], "E").parse().ok();
            parsed.ok_or_else(|| corrupt(format!("{keyword} is no number: {text}")))
        };
        self.text(keyword).map(number).transpose()
    }

    /// Whether a keyword is true.
    pub(super) fn is_true(&self, keyword: &str) -> bool {
        self.text(keyword) == Some("T")
    }
}

/// A value without its comment (4.2).
fn value_of(field: &str) -> String {
    let field = field.trim();
    let Some(text) = field.strip_prefix('\'') else {
        let value = field.split('/').next();
        return value.unwrap_or_default().trim().to_owned();
    };
    let (mut value, mut letters) = (String::new(), text.chars().peekable());
    while let Some(letter) = letters.next() {
        // A quote is written twice.
        if letter == '\'' && letters.next_if_eq(&'\'').is_none() {
            break;
        }
        value.push(letter);
    }
    value.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cards(lines: &[&str]) -> Cards {
        let mut cards = Cards::default();
        for line in lines {
            cards.take(format!("{line:<80}").as_bytes());
        }
        cards
    }

    #[test]
    fn values_are_read_in_each_way_that_they_are_spelled() {
        let cards = cards(&[
            "NAXIS1  =                  300 / columns",
            "BZERO   =           3.2768D+04",
            "NAXIS1  =                    7",
            "OBJECT  = 'O''Hara / x  '      / the name",
            "GROUPS  =                    T",
            "EMPTY   =                      / nothing",
            "COMMENT = is no value? it is, and nobody asks for it",
            "HISTORY   BSCALE = 2",
        ]);
        assert_eq!(cards.count("NAXIS1").unwrap(), 300);
        assert_eq!(cards.number("BZERO").unwrap(), Some(32_768.0));
        assert_eq!(cards.text("OBJECT"), Some("O'Hara / x"));
        assert!(cards.is_true("GROUPS") && !cards.is_true("SIMPLE"));
        assert_eq!((cards.text("EMPTY"), cards.number("BSCALE").unwrap()), (None, None));
        assert!(cards.whole("BZERO").is_err() && cards.count("NAXIS2").is_err());
        assert!(cards.number("OBJECT").is_err());
    }
}
