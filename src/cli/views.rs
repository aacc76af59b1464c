//! The flags of virtual siblings.

use std::path::PathBuf;

const HEADING_VIEWS: &str = "Virtual siblings of images";

/// Which siblings images have, and what may be decoded for them.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct ViewArgs {
    /// Which virtual siblings images have: png,preview,npy,tif,json,indexed,reduced, or none [default: all]
    #[arg(
        long, value_name = "LIST", help_heading = HEADING_VIEWS,
        long_help = "Which virtual siblings images have: files that are not in the bucket and are made \
            in memory when you read them. The image B01.jp2 has B01.jp2.png (the image as it is), \
            B01.jp2.preview.png (a small 8-bit picture, for people), B01.jp2.npy (its pixels for \
            numpy), B01.jp2.tif (tiled, with overviews and georeference) and B01.jp2.json (what the \
            header says). A JPEG 2000 image also has B01.jp2.indexed.jp2 (the file itself with an index \
            of its tiles, so that decoders find one at once) and B01.jp2.r2.j2k, .r4.j2k, .r8.j2k and \
            .r16.j2k (its lower resolutions, cut out without decoding); these are never listed. Give \
            some of png,preview,npy,tif,json,indexed,reduced, or 'all' (the default), or 'none'."
    )]
    pub views: Option<String>,

    /// Show the siblings in listings: all five, or those of --list-views=png,preview,npy,tif,json
    #[arg(
        long, value_name = "LIST", help_heading = HEADING_VIEWS,
        num_args = 0..=1, require_equals = true, default_missing_value = "all",
        long_help = "Show the siblings in listings, beside the files whose names end like an image's, so \
            that patterns such as '*.jp2.tif', the Tab key and file choosers find them. Without this \
            flag you can open them by name, but 'ls' does not show them. --list-views lists all five; \
            --list-views=tif,preview lists those that you name. Names alone cost no request, and may \
            be of siblings that turn out not to exist. Listing them with their sizes, as 'ls -l' does, \
            costs a small request for each image."
    )]
    pub list_views: Option<String>,

    /// Keep the places of tiles in JPEG 2000 files in this folder, across mounts
    #[arg(
        long, value_name = "DIR", help_heading = HEADING_VIEWS,
        long_help = "Keep in this folder, across mounts, where the tiles of JPEG 2000 files are that do \
            not list them, and where the packets are in huge tiles that do not list these. Finding \
            that out once costs about a tenth of such a file, or a walk through the tile; kept, it \
            is a kilobyte, or about two bytes for each packet. Several mounts and machines may share the folder, and you may delete anything in \
            it at any time. By default they are kept where --cache-dir says, or in memory alone."
    )]
    pub index_cache: Option<PathBuf>,

    /// The longest side of a preview, in pixels [default: 1024]
    #[arg(
        long, value_name = "PIXELS", help_heading = HEADING_VIEWS,
        long_help = "The longest side of a preview, in pixels, from 16 to 16384. A smaller image is \
            shown in full. The default is 1024."
    )]
    pub preview_size: Option<String>,

    /// Which bands previews of images with many show, such as 4,3,2 [default: 1,2,3]
    #[arg(
        long, value_name = "BANDS", help_heading = HEADING_VIEWS,
        long_help = "Which bands the previews of images with many show: three as red, green and blue, \
            such as 4,3,2, or one in gray. They are counted from 1. Images that are gray or RGB, with or \
            without opacity, are shown as they are, and so are those that have no such band. The default \
            is 1,2,3."
    )]
    pub preview_bands: Option<String>,

    /// Compress X.png and X.preview.png: none or fast [default: none]
    #[arg(
        long, value_name = "HOW", help_heading = HEADING_VIEWS,
        long_help = "Whether B01.jp2.png and B01.jp2.preview.png are compressed. Without compression \
            their sizes are known at once, and reading a part of B01.jp2.png decodes only that part. \
            With 'fast' they are about half as large, or much less, but have to be made whole, in \
            memory, before their sizes can be shown. The default is none."
    )]
    pub png_compression: Option<String>,

    /// The largest image to decode, in pixels [default: 512M]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The largest image to decode, in pixels; M means 1024 times 1024. The siblings of a \
            larger image can't be opened (EFBIG); the image itself can. The default is 512M."
    )]
    pub max_image_pixels: Option<String>,

    /// The largest tile to decode whole, in pixels times bands [default: 16M]
    #[arg(
        long, value_name = "NUMBER", help_heading = HEADING_VIEWS,
        long_help = "The largest tile of a JPEG 2000 image to decode whole, in pixels times bands. Of \
            tiles with more than 4M, or more than 2048 columns or rows, only the windows that are read \
            are decoded, and this does not count. The default is 16M."
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
        long_help = "The most code-blocks that a JPEG 2000 image may have; of one in huge tiles, the \
            most packets of a tile. The default is 4M."
    )]
    pub max_code_blocks: Option<String>,

    /// The most to read of a huge tile to find its packets [default: 256M]
    #[arg(
        long, value_name = "SIZE", help_heading = HEADING_VIEWS,
        long_help = "How many bytes of a huge tile of a JPEG 2000 image may be read to find the packets \
            of a window, if the file does not list their lengths (PLT). The tile is read from its \
            start, once; what was found is kept in memory. A window that lies further behind can't be \
            read (EFBIG). The default is 256M."
    )]
    pub max_walk: Option<String>,

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
