//! What the fuzz targets share, and the modules that they fuzz: the same files that
//! the program is made of, compiled here without the rest of it.

#[path = "../../src/view/layout/mod.rs"]
pub mod layout;
#[path = "../../src/raster/mod.rs"]
pub mod raster;

pub mod laws;
pub mod memory;
