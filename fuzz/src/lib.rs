//! What the fuzz targets share, and the modules that they fuzz: the same files that
//! the program is made of, compiled here without the rest of it.

#[path = "../../src/view/layout/mod.rs"]
pub mod layout;
#[path = "../../src/raster/mod.rs"]
pub mod raster;

#[path = "../../src/disk/entry.rs"]
#[expect(dead_code, reason = "the program uses more of it")]
mod disk_entry;
#[path = "../../src/store/s3/document.rs"]
mod document;
#[path = "../../src/serve/escape.rs"]
mod escape;
#[path = "../../src/fleet/entry.rs"]
#[expect(dead_code, reason = "the program uses more of it")]
mod fleet_entry;
#[path = "../../src/app/json.rs"]
#[expect(dead_code, reason = "the program uses more of it")]
mod json;
#[path = "../../src/key/mod.rs"]
pub mod key;
#[path = "../../src/app/message.rs"]
mod message;
#[path = "../../src/catalog/names.rs"]
mod names;
#[path = "../../src/config/pasted.rs"]
mod pasted;
#[path = "../../src/serve/ranges.rs"]
mod ranges;
#[path = "../../src/config/seconds.rs"]
mod seconds;
#[path = "../../src/config/size.rs"]
mod size;
#[path = "../../src/serve/target.rs"]
mod target;
#[path = "../../src/app/text.rs"]
#[expect(dead_code, reason = "the program uses more of it")]
mod text;
#[path = "../../src/fs/xattr_name.rs"]
#[expect(dead_code, reason = "the program uses more of it")]
mod xattr_name;

pub mod entries;
pub mod foreign;
pub mod laws;
pub mod memory;
