//! How the bytes of a strip or tile are compressed (tag 259).

/// A compression that is decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    /// 1: the samples as they are.
    None,
    /// 2: CCITT modified Huffman, rows that end at bytes (TIFF 6.0, section 10).
    FaxRle,
    /// 3: CCITT Group 3 (T.4), in one dimension or two.
    FaxGroup3,
    /// 4: CCITT Group 4 (T.6).
    FaxGroup4,
    /// 5: LZW, also in the old order of bits (TIFF 6.0, section 13).
    Lzw,
    /// 8 and 32946: zlib.
    Deflate,
    /// 32773: runs of bytes (TIFF 6.0, section 9).
    PackBits,
    /// 34925: an xz stream.
    Lzma,
    /// 50000: Zstandard.
    Zstd,
    /// 34887: LERC 2, perhaps compressed once more.
    Lerc,
    /// 7: JPEG, with tables apart (TIFF technical note 2).
    Jpeg,
    /// 50001: WebP.
    Webp,
    /// 34712 and 33005: a JPEG 2000 codestream.
    Jpeg2000,
    /// 50002 and 52546: a JPEG XL file.
    Jxl,
}

impl Compression {
    /// The compression of a number, or why it is not decoded.
    pub(super) fn of(number: u64) -> Result<Self, String> {
        Ok(match number {
            0 | 1 => Compression::None,
            2 => Compression::FaxRle,
            3 => Compression::FaxGroup3,
            4 => Compression::FaxGroup4,
            5 => Compression::Lzw,
            7 => Compression::Jpeg,
            8 | 32_946 => Compression::Deflate,
            32_773 => Compression::PackBits,
            33_005 | 34_712 => Compression::Jpeg2000,
            34_887 => Compression::Lerc,
            34_925 => Compression::Lzma,
            50_000 => Compression::Zstd,
            50_001 => Compression::Webp,
            50_002 | 52_546 => Compression::Jxl,
            other => {
                let name = match other {
                    6 => "old-style JPEG (6)".to_owned(),
                    32_771 => "word-aligned CCITT (32771)".to_owned(),
                    32_809 => "ThunderScan (32809)".to_owned(),
                    34_676 | 34_677 => format!("SGI LogLuv ({other})"),
                    33_003 => "JPEG 2000 in YCbCr (33003)".to_owned(),
                    other => other.to_string(),
                };
                return Err(format!("TIFF with compression {name} is not converted"));
            }
        })
    }

    /// Its name in the JSON of an image.
    pub(super) fn name(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::FaxRle => "ccitt-rle",
            Compression::FaxGroup3 => "ccitt-group3",
            Compression::FaxGroup4 => "ccitt-group4",
            Compression::Lzw => "lzw",
            Compression::Deflate => "deflate",
            Compression::PackBits => "packbits",
            Compression::Lzma => "lzma",
            Compression::Zstd => "zstd",
            Compression::Lerc => "lerc",
            Compression::Jpeg => "jpeg",
            Compression::Webp => "webp",
            Compression::Jpeg2000 => "jpeg2000",
            Compression::Jxl => "jxl",
        }
    }

    pub(super) fn is_fax(self) -> bool {
        matches!(self, Compression::FaxRle | Compression::FaxGroup3 | Compression::FaxGroup4)
    }

    /// Whether what it decodes to may have been subtracted from its neighbours (tag 317).
    pub(super) fn has_predictor(self) -> bool {
        matches!(
            self,
            Compression::Lzw | Compression::Deflate | Compression::Zstd | Compression::Lzma
        )
    }

    /// Whether it is an image of its own, in a format that has files too.
    pub(super) fn is_nested(self) -> bool {
        matches!(
            self,
            Compression::Jpeg | Compression::Webp | Compression::Jpeg2000 | Compression::Jxl
        )
    }

    /// Whether libtiff turns the bits of its bytes round where FillOrder says so.
    pub(super) fn has_fill_order(self) -> bool {
        !self.is_nested() && self != Compression::Lerc
    }
}
