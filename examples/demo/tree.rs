//! What is in the demo's bucket: the layout of `sentinel-s2-l1c` on AWS, and a
//! key of every kind that is awkward as a file name.
//!
//! Contract: fills the bucket and says what the tour may expect of it.

use bytes::Bytes;

use crate::support::B01_JP2;
use crate::support::server::{Meta, TestServer};

/// The bucket, as on AWS.
pub(crate) const BUCKET: &str = "sentinel-s2-l1c";
/// The tile that the README opens.
pub(crate) const TILE: &str = "tiles/10/S/DG/2015/12/7/0";
/// A key too large to want all of it.
pub(crate) const BIG_KEY: &str = "mosaics/2015/10SDG.raw";
/// Its size: 1 GiB.
pub(crate) const BIG_BYTES: u64 = 1 << 30;
/// Which pattern its bytes follow.
pub(crate) const BIG_SEED: u64 = 2015;

const BANDS: [&str; 13] =
    ["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B10", "B11", "B12"];
const SQUARES: [&str; 4] = ["DG", "DH", "EG", "EH"];
const DAYS: [u32; 8] = [2, 7, 9, 12, 17, 19, 22, 27];

/// Every key whose name needs a rule, each holding [`strange_body`] of itself.
pub(crate) fn strange_keys() -> Vec<String> {
    let long = format!("strange/{}.txt", "long-name-".repeat(30));
    let others = [
        "/strange-leading-slash.txt",
        "strange/a",
        "strange/a/b.txt",
        "strange/marker-with-a-body/",
        "strange//two-slashes.txt",
        "strange/./one-dot.txt",
        "strange/../two-dots.txt",
        "strange/tab\tand\u{1}control.txt",
        "strange/two\nlines.txt",
        "strange/blue sky.txt",
        "strange/100%25 cloud+haze.txt",
        "strange/\u{5317}\u{4eac} Zu\u{308}rich.txt",
    ];
    others.into_iter().map(str::to_owned).chain([long]).collect()
}

/// What an object of [`strange_keys`] holds: its own key, so that no object can
/// answer for another without being seen.
pub(crate) fn strange_body(key: &str) -> String {
    format!("I am the object whose key is {key:?}.\n")
}

/// Fills the bucket: about 400 objects.
pub(crate) fn fill(server: &TestServer) {
    server.create_bucket(BUCKET);
    for square in SQUARES {
        for day in DAYS {
            small_objects_of_a_tile(server, square, day);
        }
    }
    let band = Bytes::from_static(B01_JP2);
    for name in BANDS {
        let metadata = [("resolution", "60"), ("processing-level", "1C")];
        let meta = Meta {
            content_type: Some("image/jp2".to_owned()),
            metadata: metadata.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..Meta::default()
        };
        server.put_with(BUCKET, &format!("{TILE}/{name}.jp2"), band.clone(), meta);
    }
    server.put_pattern(BUCKET, BIG_KEY, BIG_BYTES, BIG_SEED);
    server.put_many(
        BUCKET,
        strange_keys().into_iter().map(|key| {
            let body = strange_body(&key);
            (key, body)
        }),
    );
    server.put(BUCKET, "strange/empty-directory/", "");
    server.put(BUCKET, "readme.txt", "The demo's bucket, laid out as Sentinel-2 on AWS.\n");
}

fn small_objects_of_a_tile(server: &TestServer, square: &str, day: u32) {
    let tile = format!("tiles/10/S/{square}/2015/12/{day}/0");
    let id = format!("S2A_OPER_PRD_MSIL1C_PDMC_201512{day:02}T190000_R113_{square}");
    let product = format!("products/2015/12/{day}/{id}");
    let info = format!(
        "{{\n  \"path\": \"{tile}\",\n  \"timestamp\": \"2015-12-{day:02}T18:57:12.000Z\",\n  \
         \"utmZone\": 10,\n  \"latitudeBand\": \"S\",\n  \"gridSquare\": \"{square}\",\n  \
         \"cloudyPixelPercentage\": {}.5,\n  \"productPath\": \"{product}\"\n}}\n",
        day % 10
    );
    let xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<n1:Level-1C_Tile_ID>\n  \
         <TILE_ID>{id}</TILE_ID>\n  <SENSING_TIME>2015-12-{day:02}T18:57:12.000Z</SENSING_TIME>\n\
         </n1:Level-1C_Tile_ID>\n"
    );
    let preview = format!("10S{square}, 2015-12-{day:02}: a preview would be here\n");
    let objects = [
        (format!("{tile}/tileInfo.json"), info.clone()),
        (format!("{tile}/metadata.xml"), xml.clone()),
        (format!("{tile}/preview/preview.txt"), preview.clone()),
        (format!("{tile}/qi/MSK_CLOUDS_B00.gml"), xml.clone()),
        (format!("{tile}/qi/SENSOR_QUALITY.xml"), xml.clone()),
        (format!("{tile}/auxiliary/ECMWFT.txt"), preview.clone()),
        (format!("{product}/productInfo.json"), info),
        (format!("{product}/metadata.xml"), xml.clone()),
        (format!("{product}/manifest.safe"), xml.clone()),
        (format!("{product}/inspire.xml"), xml),
        (format!("{product}/preview.txt"), preview),
    ];
    server.put_many(BUCKET, objects);
}
