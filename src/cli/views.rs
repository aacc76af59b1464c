//! The flags of virtual siblings.

const HEADING_VIEWS: &str = "Virtual siblings of images";

/// Which siblings images have, and what may be decoded for them.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct ViewArgs {
    /// Which virtual siblings images have: png,preview,npy,tif,json, or none [default: all]
    #[arg(
        long, value_name = "LIST", help_heading = HEADING_VIEWS,
        long_help = "Which virtual siblings images have: files that are not in the bucket and are made \
            in memory when you read them. The image B01.jp2 has B01.jp2.png (the image as it is), \
            B01.jp2.preview.png (a small 8-bit picture, for people), B01.jp2.npy (its pixels for \
            numpy), B01.jp2.tif (tiled, with overviews and georeference) and B01.jp2.json (what the \
            header says). Give some of png,preview,npy,tif,json, or 'all' (the default), or 'none'."
    )]
    pub views: Option<String>,

    /// Show the siblings in listings
    #[arg(
        long, help_heading = HEADING_VIEWS,
        long_help = "Show the siblings in listings, beside the files whose names end like an image's. \
            Without this flag you can open them by name, but 'ls' does not show them. Listing them \
            with their sizes costs a small request for each image."
    )]
    pub list_views: bool,

    /// The longest side of a preview, in pixels [default: 1024]
    #[arg(
        long, value_name = "PIXELS", help_heading = HEADING_VIEWS,
        long_help = "The longest side of a preview, in pixels, from 16 to 16384. A smaller image is \
            shown in full. The default is 1024."
    )]
    pub preview_size: Option<String>,

    /// Compress X.png: none or fast [default: none]
    #[arg(
        long, value_name = "HOW", help_heading = HEADING_VIEWS,
        long_help = "Whether B01.jp2.png is compressed. Without compression its size is known at once, \
            and reading a part of it decodes only that part. With 'fast' it is about half as large, \
            but has to be made whole, in memory, before its size can be shown. The default is none."
    )]
    pub png_compression: Option<String>,

    /// The largest image to decode, in pixels [default: 512M]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The largest image to decode, in pixels; M means 1024 times 1024. The siblings of a \
            larger image can't be opened (EFBIG); the image itself can. The default is 512M."
    )]
    pub max_image_pixels: Option<String>,

    /// The largest tile to decode, in pixels times bands [default: 16M]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The largest tile of a JPEG 2000 image to decode, in pixels times bands. The \
            default is 16M."
    )]
    pub max_tile_samples: Option<String>,

    /// Memory for decoding one tile [default: 512M]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_VIEWS,
        long_help = "How much memory may be used to decode one tile, or one whole image in formats \
            without tiles. The default is 512M."
    )]
    pub max_decode_memory: Option<String>,

    /// The most tiles that an image may have [default: 65535]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The most tiles that an image may have. The default is 65535."
    )]
    pub max_tiles: Option<String>,

    /// The most code-blocks that a JPEG 2000 image may have [default: 4M]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The most code-blocks that a JPEG 2000 image may have. The default is 4M."
    )]
    pub max_code_blocks: Option<String>,

    /// The most samples per compressed byte [default: 20000]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The most samples (pixels times bands) that an image may declare for each of its \
            compressed bytes. An image that declares more was most likely made to fill your memory. \
            The default is 20000."
    )]
    pub max_expansion: Option<String>,

    /// How long a decoder may work on one image, in seconds [default: 60]
    #[arg(
        long, value_name = "SECONDS", help_heading = HEADING_VIEWS,
        long_help = "How long a decoder may work on one image in a format other than JPEG 2000, in \
            seconds. One that takes longer is stopped, and its image can't be read (EIO). The default \
            is 60."
    )]
    pub decode_timeout: Option<String>,

    /// Where decoders run: workers or in-process [default: workers]
    #[arg(
        long, value_name = "PLACE", help_heading = HEADING_VIEWS,
        long_help = "Where images in formats other than JPEG 2000 are decoded. With 'workers' in \
            processes of their own, which have no files, no network and limited memory, so that an image \
            made to do harm can't do any. With 'in-process' in the daemon, for systems where no such \
            process can be started. The default is workers."
    )]
    pub decoders: Option<String>,
}
